// initial_digest.hpp: a fresh job's weights, read from a directory that each node has for itself, are compared before
// the first step.
#pragma once

#include "api/job_spec.hpp"
#include "moe/step/step.hpp"

namespace regroup {

// All members call it before the first step. Do the weights that were read have the digest that the job was submitted
// with? Interrupted{kBadInput} on every member if not: some node's directory holds something else.
void check_initial_weights(StepRunner& runner, const JobSpec& job);

}  // namespace regroup
