// planner.hpp: from the workers that may train now and the previous plan to who holds and computes what. Pure; fills
// Plan.members and Plan.placement.
//
// There are two goals, because after lost workers time matters more than balance.
//
// kSoonest: the plan that commits soonest. A group is intact when every member that keeps something of it survives.
//   Intact groups keep exactly their owners, so no state moves; survivors of broken groups and newcomers join them as
//   members that only compute. When no group is intact, the survivors form one group, each keeps what it holds, and
//   what nobody holds is divided among them.
// kBalanced (at a step boundary): as many groups as memory allows, at most max_groups, chains and ranks. Groups differ
//   by at most one rank, and shares within a group by at most one block or expert. The layout is sticky: a rank keeps
//   what it holds up to its share, so a layout that is balanced already stays. With a measured load, experts of a group
//   then change places in pairs, if that gains at least the job's load_gain and lasts (even_out.hpp); how many each
//   rank has stays.
//
// Ranks: survivors in their previous order, then newcomers by worker id. Workers beyond the number of microbatches are
// spares (members in no group), newcomers first. Equal inputs give equal output on every machine. Cost: O(R log R +
// groups * experts of all layers); 16,384 workers within 100 ms, without a load.
#pragma once

#include "api/plan.hpp"
#include "coordinator/planner/even_out.hpp"
#include "coordinator/planner/planning_input.hpp"
#include "layout/placement.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regroup::planning {

struct Planned {
  std::vector<Participant> members;
  Placement placement;
  std::string reason;              // for people: how many groups, why these, and what could not be done
  std::int64_t bytes_to_move = 0;  // state (master and moments) that ranks keep now and did not before
  // sum over ranks of max(0, balanced share - held before): no balanced plan moves less, and one by load may move
  // more. For tests and bench/moved.
  std::int64_t bytes_bound = 0;
  std::optional<RankLoad> rank_load;  // where experts are placed by load
};

struct PlanningResult {
  std::optional<Planned> planned;
  std::string reason;  // always; without a plan: what is missing
};

PlanningResult make_placement(const PlannerInput& input);

}  // namespace regroup::planning
