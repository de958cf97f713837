// initial_weights.hpp: a fresh job starts from the weights of a Hugging Face directory. Each worker reads the byte
// ranges of its own blocks.
#pragma once

#include "api/job_spec.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "moe/state/shards.hpp"

#include <span>
#include <string>

namespace regroup {

// Master weights of these shards from job.initial_weights; moments stay as they are. Returns the bytes read.
// Codes as in checkpoint/io/foreign_files.hpp: the directory is not what the job was submitted with, or cannot be read.
Result<std::int64_t> read_initial_weights(const JobSpec& job, std::span<const ShardPtr> shards);

// Reads all of this node's directory: why it is not what the job was submitted with, naming directory and node. Empty:
// it is.
std::string why_other_weights(const JobSpec& job, const NodeId& node);

}  // namespace regroup
