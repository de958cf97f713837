// placement.hpp: who computes which chains and keeps which shards: the part of a plan that workers derive everything
// from. Pure.
#pragma once

#include "base/ids.hpp"
#include "layout/interval.hpp"
#include "layout/units.hpp"

#include <cstdint>
#include <vector>

namespace regroup {

// Ranks that together hold exactly one complete copy of the training state.
struct Group {
  std::vector<Rank> ranks;  // ascending; "member i" below is a position here
  // [member] blocks kept of every unit that is not an expert; disjoint, union = [0, kBlocksPerUnit)
  std::vector<IntervalSet> dense_blocks;
  // [(sparse layer * num_local_experts + expert) * slices + slice] the member that keeps and computes it
  std::vector<int> expert_member;
  int first_chain = 0;  // computes chains [first_chain, end_chain)
  int end_chain = 0;
  friend bool operator==(const Group&, const Group&) = default;
};

struct Placement {
  std::vector<Group> groups;  // contiguous chains, in order: group 0 starts at chain 0
  [[nodiscard]] int num_ranks() const;
  [[nodiscard]] int group_of(Rank rank) const;   // -1: a spare or a donor
  [[nodiscard]] int member_of(Rank rank) const;  // position in its group, -1 if in none
  friend bool operator==(const Placement&, const Placement&) = default;
};

// Blocks of a unit that a rank keeps.
IntervalSet blocks_kept(const Placement& placement, const Unit& unit, const ModelShape& shape, Rank rank);

// What a group computes of a step. Its microbatches go round the members in order: a wave is one for each.
struct MicrobatchRange {
  int first = 0;
  int end = 0;
  [[nodiscard]] int size() const { return end - first; }
};
MicrobatchRange microbatches_of(const Group& group, int num_microbatches, int num_chains);
int num_waves(const Group& group, int num_microbatches, int num_chains);

// Tokens' experts (or the part of one that a slice is) that the heaviest member of each layer computes, over the mean
// of the members: a layer ends when its heaviest has answered, so the members are busy for the inverse of this.
// `expert_load`: [layer * num_local_experts + expert] tokens, of all layers. 1 where there are none.
double heaviest_over_mean(const Group& group, const ModelShape& shape, const std::vector<std::int64_t>& expert_load);

}  // namespace regroup
