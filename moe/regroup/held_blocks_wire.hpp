// held_blocks_wire.hpp: which blocks somebody holds, as bytes of an inventory.
#pragma once

#include "layout/settle.hpp"
#include "moe/state/wire.hpp"

#include <vector>

namespace regroup {

inline void put_blocks(WireWriter& out, const std::vector<HeldBlocks>& blocks) {
  std::vector<std::int32_t> flat;
  for (const HeldBlocks& held : blocks) {
    for (const Interval& interval : held.blocks.intervals())
      flat.insert(flat.end(), {held.unit, interval.lo, interval.hi});
  }
  out.put(flat);
}

inline std::vector<HeldBlocks> get_blocks(WireReader& in) {
  std::vector<HeldBlocks> blocks;
  const auto flat = in.get_vector<std::int32_t>();
  for (std::size_t i = 0; i + 2 < flat.size(); i += 3) {
    if (blocks.empty() || blocks.back().unit != flat[i]) blocks.push_back({flat[i], {}});
    blocks.back().blocks.add({flat[i + 1], flat[i + 2]});
  }
  return blocks;
}

}  // namespace regroup
