// held_shards.hpp: shards of which only some blocks may be as they should be, and what an interrupted attempt at an
// epoch leaves of such.
#pragma once

#include "base/ids.hpp"
#include "layout/bad_steps.hpp"
#include "moe/state/shards.hpp"

#include <map>
#include <vector>

namespace regroup {

using UnitBlocks = std::map<int, IntervalSet>;  // by unit
std::vector<HeldBlocks> listed(const UnitBlocks& blocks);

struct HeldShards {
  ShardStore store;
  UnitBlocks blocks;                                                // of the store's shards, those that are verified
  [[nodiscard]] ShardPtr holding(int unit, Interval wanted) const;  // null: not all of them, or in no one shard
  [[nodiscard]] bool has_all(const UnitBlocks& others) const;
};
HeldShards all_of(const ShardStore& store);

// What an attempt at an epoch had verified when it was interrupted.
struct MovedState {
  Step step;
  BadSteps bad;  // up to it
  HeldShards held;
};

}  // namespace regroup
