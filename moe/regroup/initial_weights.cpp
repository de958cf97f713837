#include "moe/regroup/initial_weights.hpp"

#include "checkpoint/io/foreign_weights.hpp"

namespace regroup {

Result<std::int64_t> read_initial_weights(const JobSpec& job, std::span<const ShardPtr> shards) {
  auto weights = checkpoint::ForeignWeights::open(job.initial_weights, job.model);
  if (!weights) return weights.error();
  for (const ShardPtr& shard : shards)
    if (auto ok =
            (*weights)->read(shard->unit, shard->blocks, {shard->master(), static_cast<std::size_t>(shard->numel())});
        !ok)
      return ok.error();
  return (*weights)->bytes_read();
}

}  // namespace regroup
