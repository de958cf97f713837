#include "moe/train/initial_weights.hpp"

#include "checkpoint/io/foreign_weights.hpp"
#include "moe/train/interrupt.hpp"

namespace regroup {

Result<std::int64_t> read_initial_weights(const JobSpec& job, std::span<const ShardPtr> shards) {
  auto weights = ForeignWeights::open(job.initial_weights, job.model);
  if (!weights) return weights.error();
  for (const ShardPtr& shard : shards)
    if (auto ok = (*weights)->read(shard->unit, shard->blocks, {shard->master(), static_cast<std::size_t>(shard->numel())}); !ok) return ok.error();
  return (*weights)->bytes_read();
}

void check_initial_weights(StepRunner& runner, const JobSpec& job) {
  if (job.initial_weights.empty() || job.initial_digest.empty()) return;
  // Transfers of the digest are named by a step; none of the job's comes this late.
  const std::string digest = runner.weights_digest(Step(job.steps + 1));
  if (digest == job.initial_digest) return;
  throw Interrupted{{Code::kBadInput, "the weights in " + job.initial_weights + " are not those that the job was submitted with (digest " + digest + ", expected " + job.initial_digest +
                                          "): give every node the same directory"}};
}

}  // namespace regroup
