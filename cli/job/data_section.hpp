// data_section.hpp: the key `data` of a job file: one set, or a mixture; and what of the file says which samples a step
// takes. Private to cli/.
#pragma once

#include "api/job_spec.hpp"
#include "cli/job/beside_file.hpp"
#include "cli/job/yaml_section.hpp"

#include <string>
#include <vector>

namespace regroup::cli {

// The file's one document, read by `read`, which throws Refused. kNotFound, kBadInput ("FILE:LINE: ...").
template <class T, class Read>
Result<T> read_yaml(const std::string& path, Read read) {
  const auto text = read_text(path);
  if (!text) return Error{Code::kNotFound, "the job file: " + text.error().context};
  try {
    return read(only_document(path, *text));
  } catch (const Refused& refused) {
    return Error{Code::kBadInput, refused.what};
  } catch (const YAML::Exception& error) {
    return Error{Code::kBadInput,
                 path + ":" + std::to_string(error.mark.line + 1) + ": this is not YAML: " + error.msg};
  }
}

// Fills data_prefix or data_mix. Returns notes, one sentence each. Throws Refused.
std::vector<std::string> read_data(YamlSection& root, const std::string& job_file, JobSpec& job);

}  // namespace regroup::cli
