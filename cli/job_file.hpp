// job_file.hpp: the user's YAML -> JobSpec. Every key is known or refused, with its line, its path and the nearest key that exists.
//
// Relative paths are relative to the file. Not filled here: secret and data_digest (made at submit).
#pragma once

#include "base/result.hpp"
#include "coordinator/api/job_spec.hpp"

#include <string>
#include <vector>

namespace regroup {

struct JobFile {
  JobSpec job;
  std::vector<std::string> notes;  // what a reader of the file may not expect, one sentence each
};

// `default_checkpoint_dir` (absolute) is used where the file names none.
// kNotFound, kBadInput ("FILE:LINE: section.key: what is wrong, what is expected"). The result has passed check_job.
Result<JobFile> load_job(const std::string& path, const std::string& default_checkpoint_dir = {});

// From the text of a Hugging Face config.json of a Mixtral model. Keys that do not change the tensors or the mathematics are ignored; what we do not
// compute (other activations, rope scaling, attention dropout, router jitter) is refused by name.
Result<ModelShape> shape_from_config_json(const std::string& text);

}  // namespace regroup
