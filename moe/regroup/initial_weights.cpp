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

std::string why_other_weights(const JobSpec& job, const NodeId& node) {
  const std::string where = "the weights in " + job.initial_weights + " on node " + node.value;
  auto weights = checkpoint::ForeignWeights::open(job.initial_weights, job.model);
  if (!weights) return where + " cannot be read: " + weights.error().context;
  auto digest = (*weights)->digest();
  if (!digest) return where + " cannot be read: " + digest.error().context;
  if (*digest == job.initial_digest) return {};
  return where + " are not those that the job was submitted with (digest " + *digest + ", expected " +
         job.initial_digest + "): give every node the same directory";
}

}  // namespace regroup
