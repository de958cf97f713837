// tags.hpp: the name of every transfer between two workers, from the step, the operation and its index:
// [step:32][op:6][index:26]. Frozen within a protocol version.
#pragma once

#include "base/check.hpp"
#include "base/ids.hpp"
#include "mesh/mesh.hpp"

namespace regroup {

enum class TransferOp : std::uint64_t {
  kGather = 1,   // index: unit * 256 + number of the interval
  kCounts = 2,   // index: wave * layers + layer
  kRows = 3,     // index: (wave * layers + layer) * experts + expert, here and in kGradOutputs
  kOutputs = 4,  // index: that of kRows * slices + slice, here and in kGradRows
  kGradOutputs = 5,
  kGradRows = 6,
  // index: (wave * units + unit) * 256 + number of the interval; 3 waves of such indices fit a 200-unit model, see
  // make_tag's CHECK
  kLeaf = 7,
  kNodes = 8,  // index: running number between the two ranks
  kVote = 9,
  kInventory = 10,
  kSnapshots = 11,
  kMove = 12,  // index: running number between the two ranks
  kMoveHashes = 13,
  kAgree = 14,
  kDigest = 15,        // index: 0 for the lines, 1 + unit for a slice of an expert
  kLeave = 16,         // index: 0 when all hold their new state, 1 when all know that
  kRowsAgain = 17,     // index as kRows: the forward that a backward repeats
  kOutputsAgain = 18,  // index as kOutputs
  kGroupDigest = 19,   // index: 0 for the digests, 1 for whose initial weights are others
};

inline mesh::Tag make_tag(Step step, TransferOp op, std::int64_t index = 0) {
  REGROUP_CHECK(index >= 0 && index < (1 << 26), "transfer index", index);
  return mesh::Tag{(static_cast<std::uint64_t>(step.value) << 32) | (static_cast<std::uint64_t>(op) << 26) |
                   static_cast<std::uint64_t>(index)};
}

// Transfers of a regroup carry no step: they are named within the epoch.
inline constexpr Step kNoStep{0};

}  // namespace regroup
