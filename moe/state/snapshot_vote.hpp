// snapshot_vote.hpp: what a member's vote says of its snapshots. One number, so that the least over all votes is what
// holds for everybody; frozen on the wire between workers of one version.
#pragma once

#include "base/ids.hpp"

#include <cstdint>

namespace regroup {

enum class SnapshotVote : std::int64_t {
  kSkipped = -2,   // this member has no memory for the snapshot in flight
  kNoneSafe = -1,  // nothing is safe here in this epoch; one may be in flight
};

// Every other value: the newest step whose snapshot is safe at this member.
constexpr SnapshotVote safe_until(Step newest) { return SnapshotVote{newest.value}; }

}  // namespace regroup
