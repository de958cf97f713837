#include "moe/state/held_shards.hpp"

#include <algorithm>

namespace regroup {

std::vector<HeldBlocks> listed(const UnitBlocks& blocks) {
  std::vector<HeldBlocks> list;
  for (const auto& [unit, of_unit] : blocks) list.push_back({unit, of_unit});
  return list;
}

ShardPtr HeldShards::holding(int unit, Interval wanted) const {
  const auto found = blocks.find(unit);
  return found != blocks.end() && found->second.contains(wanted) ? store.containing(unit, wanted) : nullptr;
}

bool HeldShards::has_all(const UnitBlocks& others) const {
  return std::all_of(others.begin(), others.end(), [&](const auto& other) {
    const auto found = blocks.find(other.first);
    return other.second.empty() || (found != blocks.end() && other.second.subtract(found->second).empty());
  });
}

HeldShards all_of(const ShardStore& store) {
  HeldShards held{store, {}};
  for (const HeldBlocks& of_unit : store.held()) held.blocks[of_unit.unit] = of_unit.blocks;
  return held;
}

}  // namespace regroup
