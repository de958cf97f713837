// difference_advice.hpp: what to do about a job that differs from the one of its name, or of its checkpoint. Pure.
#pragma once

#include "api/job_spec.hpp"

#include <string>

namespace regroup::cli {

// `differs`, which says keys with both values (layout/job_terms.hpp), and what it may leave open: why data of the same
// text are other data, where a number comes from that the job file does not have.
std::string with_advice(const std::string& differs, const JobSpec& job);

}  // namespace regroup::cli
