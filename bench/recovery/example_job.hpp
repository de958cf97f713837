// example_job.hpp: an endless job to measure: that of examples/, with data.
#pragma once

#include "api/job_spec.hpp"
#include "base/result.hpp"

#include <string>

namespace regroup::bench {

// `model`: a folder of examples/. Its checkpoints, and its data where it has none, go into `dir`, which exists. The
// data is pinned.
Result<JobSpec> example_job(const std::string& model, const std::string& dir);

}  // namespace regroup::bench
