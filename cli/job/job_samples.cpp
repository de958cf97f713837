#include "cli/job/job_samples.hpp"

#include "cli/job/data_section.hpp"

namespace regroup::cli {
namespace {

JobSamples read_samples(const std::string& path, const YAML::Node& yaml) {
  YamlSection root(path, "", yaml);
  JobSpec job;
  read_data(root, path, job);
  JobSamples samples;
  samples.sources = data_sources(job);
  root.read("seed", samples.seed);
  for (const auto& [key, value] : {std::pair{"sequence_length", &samples.sequence_length},
                                   {"sequences_per_microbatch", &samples.sequences_per_microbatch},
                                   {"microbatches", &samples.microbatches}}) {
    root.require(key, *value);
    if (*value < 1 || *value > INT32_MAX) root.refuse(key, "must be between 1 and " + std::to_string(INT32_MAX));
  }
  return samples;
}

}  // namespace

Result<JobSamples> load_samples(const std::string& path) {
  return read_yaml<JobSamples>(path, [&](const YAML::Node& yaml) { return read_samples(path, yaml); });
}

}  // namespace regroup::cli
