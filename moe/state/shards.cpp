#include "moe/state/shards.hpp"

namespace regroup {

ShardPtr ShardStore::exactly(int unit, Interval blocks) const {
  const auto found = shards_.find({unit, blocks.lo});
  return found != shards_.end() && found->second->blocks == blocks ? found->second : nullptr;
}

ShardPtr ShardStore::containing(int unit, Interval blocks) const {
  auto after = shards_.upper_bound({unit, blocks.lo});
  if (after == shards_.begin()) return nullptr;
  const ShardPtr& shard = std::prev(after)->second;
  return shard->unit == unit && shard->blocks.lo <= blocks.lo && blocks.hi <= shard->blocks.hi ? shard : nullptr;
}

std::vector<HeldBlocks> ShardStore::held() const {
  std::vector<HeldBlocks> result;
  for (const auto& [key, shard] : shards_) {
    if (result.empty() || result.back().unit != shard->unit) result.push_back({shard->unit, {}});
    result.back().blocks.add(shard->blocks);
  }
  return result;
}

}  // namespace regroup
