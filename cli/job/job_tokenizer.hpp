// job_tokenizer.hpp: the tokenizer that made a job's data, and the one beside its initial weights.
#pragma once

#include "api/job_spec.hpp"

#include <string>
#include <vector>

namespace regroup::cli {

// Fills `tokenizer`: what checkpoints get beside their weights must be what made the data. Returns what their owner
// should know: that the weights were trained with other tokens. After pin_data and pin_weights.
std::vector<std::string> pin_tokenizer(JobSpec& job);

}  // namespace regroup::cli
