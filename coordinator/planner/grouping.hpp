// grouping.hpp: which ranks form which group, and which chains each group computes. Pure; a part of the planner.
#pragma once

#include "coordinator/planner/group_layout.hpp"

#include <vector>

namespace regroup::planning {

// Near-equal groups of the given ranks, each ascending. Old groups live on as far as there is place for them: those
// that hold most stay, their members stay; ranks too many move to where what they hold is missing.
struct GroupingInput {
  std::vector<int> ranks;         // ascending; all of them get a seat
  std::vector<int> old_group;     // [rank] -1: none
  const std::vector<Kept>* kept;  // [rank]
  int num_groups = 1;             // at most ranks.size()
};
std::vector<std::vector<int>> form_groups(const GroupingInput& input, const StateShape& shape);

// [first, end) for each group: every group at least one chain, shares in proportion to the sizes, so that the slowest
// group is as quick as it can be.
struct ChainRange {
  int first = 0;
  int end = 0;
};
std::vector<ChainRange> cut_chains(const std::vector<int>& group_sizes, int num_chains, int num_microbatches);

}  // namespace regroup::planning
