// grouping.hpp: which ranks form which group, and which chains each group computes. Pure; a part of the planner.
#pragma once

#include "coordinator/planner/group_layout.hpp"

#include <vector>

namespace regroup::planning {

// Divides the ranks into groups whose sizes differ by at most one; each is ascending. Old groups live on, so that
// little state moves: if there are to be fewer, those that hold most. Their members stay in them. A group that is too
// large gives up ranks, and these go where most of what they hold is missing.
struct GroupingInput {
  std::vector<int> ranks;         // ascending; all of them get a seat
  std::vector<int> old_group;     // [rank] -1: none
  const std::vector<Kept>* kept;  // [rank]
  int num_groups = 1;             // at most ranks.size()
};
std::vector<std::vector<int>> form_groups(const GroupingInput& input, const StateShape& shape);

// [first, end) for each group: at least one chain each, and as many as fit its size, so that the slowest group is as
// quick as it can be.
struct ChainRange {
  int first = 0;
  int end = 0;
};
std::vector<ChainRange> cut_chains(const std::vector<int>& group_sizes, int num_chains, int num_microbatches);

}  // namespace regroup::planning
