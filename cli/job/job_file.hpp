// job_file.hpp: the user's YAML -> JobSpec. Every key is known or refused, with its line, its path and the nearest key
// that exists.
//
// Relative paths are relative to the file. Not filled here: secret and data_digest (made at submit).
#pragma once

#include "api/job_spec.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::cli {

struct JobFile {
  JobSpec job;
  std::vector<std::string> notes;  // what a reader of the file may not expect, one sentence each
};

// `default_checkpoint_dir` (absolute) is used where the file names none. `steps` above 0 replaces the file's: defaults
// that are computed from steps use it, and warm-up and decay end by it. The data files need not exist.
// kNotFound, kBadInput ("FILE:LINE: section.key: what is wrong, what is expected"). The result has passed check_job.
Result<JobFile> load_job(const std::string& path, const std::string& default_checkpoint_dir = {},
                         std::int64_t steps = 0);

}  // namespace regroup::cli
