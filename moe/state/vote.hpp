// vote.hpp: the votes that end a step, their bytes, and what a complete set of them says. Pure; step.cpp exchanges
// them.
//
// A member votes once it holds the reduced gradients of its shards. So whoever has the votes of all members knows that
// nothing of the step is missing anywhere, and commits it: the commit barrier of a step (should_commit in torchft).
// An owner that misses a vote keeps its gradients: the next epoch commits the step if any member had them all.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/snapshot_vote.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace regroup {

struct MicrobatchLoss {
  std::int64_t microbatch = 0;
  double loss_sum = 0;  // over its targets
  std::int64_t targets = 0;
  double aux_loss = 0;  // load-balancing loss of this microbatch, without its coefficient
  double z_loss = 0;    // router z-loss, likewise
};

// Says for which blocks Vote::squares holds the squared norm of the reduced gradient (not divided by the targets):
// [lo, lo + count) of a unit.
struct SquaresOf {
  std::int32_t unit = 0;
  std::int32_t lo = 0;
  std::int32_t count = 0;
};

struct Vote {
  bool ok = true;
  std::uint64_t planned = 0;  // newest epoch that this rank has seen planned
  SnapshotVote snapshot = SnapshotVote::kNoneSafe;
  bool saving = false;  // a checkpoint that this rank has a part in is still being written
  std::vector<MicrobatchLoss> losses;
  std::vector<SquaresOf> squares_of;
  std::vector<double> squares;
  std::vector<std::int64_t> expert_load;  // [layer * experts + expert] tokens of this rank's microbatches
};
std::vector<std::byte> to_bytes(const Vote& vote);
Result<Vote> vote_from_bytes(std::span<const std::byte> bytes);  // kCorrupt

// What a complete set of votes says. Equal on every member, bit for bit, as sums are added in the order of microbatches
// and blocks, not of members. It is all that an owner needs, beside its gradients, to apply the update later.
struct VoteRecord {
  std::int64_t step = 0;
  double loss_sum = 0;
  std::int64_t targets = 0;
  double aux_sum = 0;  // over microbatches
  double z_sum = 0;
  double sum_of_squares = 0;                        // of the summed gradients
  std::uint64_t planned = 0;                        // least over the votes
  SnapshotVote snapshot = SnapshotVote::kNoneSafe;  // least over the votes
  std::int64_t saving = 0;                          // how many members are
  [[nodiscard]] double norm() const;                // of the mean gradient
  [[nodiscard]] bool bad() const;                   // not finite: the step is committed and changes no weight
  friend bool operator==(const VoteRecord&, const VoteRecord&) = default;
};

// kInternal when a microbatch is missing or computed twice, when groups disagree about a block, or when a member voted
// not ok.
Result<VoteRecord> count_votes(const JobConstants& job, Step step, const std::vector<Vote>& votes);

}  // namespace regroup
