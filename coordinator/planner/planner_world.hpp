// planner_world.hpp: the candidates as the planner sees them: ranks, and what each kept in the previous plan. Pure; a
// part of the planner.
#pragma once

#include "coordinator/planner/group_layout.hpp"
#include "coordinator/planner/planning_input.hpp"

#include <cstddef>
#include <vector>

namespace regroup::planning {

// The candidates in the order of their ranks, with what they kept in the previous plan.
struct World {
  std::vector<const Candidate*> workers;  // [rank]
  std::vector<int> old_group;             // [rank] -1: newcomer or spare
  std::vector<int> old_member;
  std::vector<Kept> kept;
  [[nodiscard]] int size() const { return static_cast<int>(workers.size()); }
};

World make_world(const PlannerInput& input);

// [member] what each of these ranks kept.
std::vector<const Kept*> kept_by(const World& world, const std::vector<int>& ranks);

// A large cluster has thousands of groups and few that differ. [group] the number of an earlier group whose members
// held the same before, member for member: its new layout serves this group too. A group without such a twin: its own
// number.
std::vector<std::size_t> alike(const World& world, const Plan* previous, const std::vector<std::vector<int>>& groups);

}  // namespace regroup::planning
