// part.hpp: one owner's share of a checkpoint, as bytes in memory. Pure.
#pragma once

#include "layout/interval.hpp"

#include <cstddef>

namespace regroup::checkpoint {

// The three arrays of a unit's state, in the order in which they lie behind one another in a PartEntry.
enum class StateArray { kMaster = 0, kFirstMoment = 1, kSecondMoment = 2 };
inline constexpr int kStateArrays = 3;

// Blocks of one unit: three arrays of (blocks.size() * block_elements) little-endian floats one after the other:
// master, first moment, second moment. The memory is the caller's and must not change until the call that got it
// returns.
struct PartEntry {
  int unit = 0;  // index in make_units()
  Interval blocks;
  const std::byte* data = nullptr;
};

// The same shape as a destination.
struct PartBuffer {
  int unit = 0;
  Interval blocks;
  std::byte* data = nullptr;
};

}  // namespace regroup::checkpoint
