// owners.hpp: one owner among the holders of each item, so that loads come out even. Pure; a part of the planner.
#pragma once

#include <utility>
#include <vector>

namespace regroup::planning {

inline constexpr int kNobody = -1;

// [item] its owner, kNobody without a holder. Items with a single holder first, then each of the others goes to its
// least loaded holder. `holders`: (item, member) pairs, ascending by member.
std::vector<int> choose_owners(const std::vector<std::pair<int, int>>& holders, int num_items, int num_members);

}  // namespace regroup::planning
