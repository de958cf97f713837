// initial_weights.hpp: a fresh job starts from the weights of a Hugging Face directory. Each worker reads the byte ranges of its own blocks.
#pragma once

#include "base/result.hpp"
#include "api/job_spec.hpp"
#include "moe/train/shards.hpp"
#include "moe/train/step.hpp"

#include <span>

namespace regroup {

// Master weights of these shards from job.initial_weights; moments stay as they are. Returns the bytes read.
Result<std::int64_t> read_initial_weights(const JobSpec& job, std::span<const ShardPtr> shards);

// All members call it before the first step. Do the weights that were read have the digest that the job was submitted with? Interrupted{kBadInput} on every member if not: some
// node's directory holds something else.
void check_initial_weights(StepRunner& runner, const JobSpec& job);

}  // namespace regroup
