#include "moe/state/shards.hpp"

#include <algorithm>
#include <cmath>
#include <span>

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

std::string ShardStore::not_finite(const std::vector<Unit>& units) const {
  for (const auto& [key, shard] : shards_) {
    const std::span<const float> weights(shard->master(), static_cast<std::size_t>(shard->numel()));
    const auto bad = std::find_if(weights.begin(), weights.end(), [](float value) { return !std::isfinite(value); });
    if (bad == weights.end()) continue;
    const Unit& unit = units[static_cast<std::size_t>(shard->unit)];
    const std::int64_t at = shard->blocks.lo * unit.block_elements + (bad - weights.begin());
    const auto tensor = std::find_if(unit.tensors.begin(), unit.tensors.end(), [&](const TensorSpec& one) {
      return at >= one.offset && at < one.offset + one.numel;
    });
    return (tensor == unit.tensors.end() ? "unit " + std::to_string(shard->unit) : tensor->name) + " holds " +
           std::to_string(*bad);
  }
  return {};
}

}  // namespace regroup
