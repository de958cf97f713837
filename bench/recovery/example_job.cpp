#include "bench/recovery/example_job.hpp"

#include "cli/job/job_file.hpp"
#include "cli/job/submit.hpp"
#include "moe/data/prepare/prepare.hpp"

#include <filesystem>
#include <fstream>
#include <random>

namespace regroup::bench {
namespace {

// The job's own data where it is prepared; else words at random: neither times nor bytes depend on what they say.
Result<void> make_data(JobSpec& job, const std::string& dir) {
  if (std::filesystem::exists(job.data_prefix + ".json")) return cli::pin_data(job);
  std::mt19937 random(1);
  std::ofstream text(dir + "/words.txt");
  for (int word = 0; word < 600'000; ++word) {
    for (unsigned letters = 2 + random() % 7; letters > 0; --letters) text << static_cast<char>('a' + random() % 26);
    text << (random() % 12 == 0 ? ".\n" : " ");
  }
  text.close();
  job.data_prefix = dir + "/words";
  PrepareOptions options;
  options.inputs = {dir + "/words.txt"};
  options.prefix = job.data_prefix;
  if (auto prepared = prepare(options); !prepared) return prepared.error();
  return cli::pin_data(job);
}

}  // namespace

Result<JobSpec> example_job(const std::string& model, const std::string& dir) {
  auto file = cli::load_job(std::string(REGROUP_SOURCE_DIR) + "/examples/" + model + "/job.yaml", dir + "/checkpoints");
  if (!file) return file.error();
  JobSpec job = std::move(file->job);
  job.steps = 1'000'000;
  if (auto data = make_data(job, dir); !data) return data.error();
  return job;
}

}  // namespace regroup::bench
