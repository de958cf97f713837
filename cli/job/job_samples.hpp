// job_samples.hpp: what of a job file says which samples its steps take. The model need not be there, nor anything else
// that a run needs beside its data.
#pragma once

#include "api/source.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::cli {

struct JobSamples {
  std::vector<DataSource> sources;
  std::uint64_t seed = 0;
  std::int64_t sequence_length = 0, sequences_per_microbatch = 0, microbatches = 0;  // each at least 1
};

// Errors as load_job. Keys of other things are not looked at.
Result<JobSamples> load_samples(const std::string& path);

}  // namespace regroup::cli
