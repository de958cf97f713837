#include "cli/job/data_section.hpp"

#include <set>

namespace regroup::cli {
namespace {

// A directory of sets, or one of the four files, is no prefix.
std::string prefix_of(const YamlSection& section, const char* key, const std::string& job_file,
                      const std::string& given) {
  if (given.empty()) section.refuse(key, "must be the prefix of prepared data (PREFIX.bin, PREFIX.idx)");
  const std::filesystem::path path = absolute_from(job_file, given);
  const std::filesystem::path without = std::filesystem::path(path).replace_extension();
  std::error_code error;
  if (path.has_extension() && std::filesystem::exists(without.string() + ".idx", error) &&
      !std::filesystem::exists(path.string() + ".idx", error))
    section.refuse(key, "is '" + given + "', one file of a set; give the prefix of all: " +
                            std::filesystem::path(given).replace_extension().string());
  return path.string();
}

DataSource read_source(const std::string& job_file, const std::string& name, const YAML::Node& node) {
  if (node.IsScalar())
    throw Refused{job_file + ":" + std::to_string(node.Mark().line + 1) + ": " + name +
                  " must be a mapping: write `path: " + node.Scalar() + "`"};
  YamlSection item(job_file, name, node);
  std::string given;
  DataSource source;
  item.require("path", given);
  source.prefix = prefix_of(item, "path", job_file, given);
  item.read("weight", source.weight);
  if (!(source.weight > 0)) item.refuse("weight", "must be above 0");
  item.refuse_unknown();
  return source;
}

}  // namespace

std::vector<std::string> read_data(YamlSection& root, const std::string& job_file, JobSpec& job) {
  const auto node = root.find("data");
  if (!node || !node->IsSequence()) {
    std::string given;
    root.require("data", given);
    if (given.empty())
      root.refuse("data", "must be the prefix of prepared data (PREFIX.bin, PREFIX.idx), or a list of {path, weight}");
    job.data_prefix = prefix_of(root, "data", job_file, given);
    return {};
  }
  std::vector<std::string> notes;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < node->size(); ++i) {
    job.data_mix.push_back(read_source(job_file, "data[" + std::to_string(i) + "]", (*node)[i]));
    const std::string& prefix = job.data_mix.back().prefix;
    if (!seen.insert(prefix).second)
      notes.push_back("data: " + prefix +
                      " stands in the mixture twice: its samples are drawn twice, in two orders; "
                      "one entry with the sum of the weights draws each once");
  }
  if (job.data_mix.empty()) root.refuse("data", "is an empty list");
  if (job.data_mix.size() == 1) {
    job.data_prefix = job.data_mix.front().prefix;
    job.data_mix.clear();
  }
  return notes;
}

}  // namespace regroup::cli
