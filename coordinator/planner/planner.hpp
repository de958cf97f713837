// planner.hpp: from "who may train now" and the previous plan to who holds and computes what. Pure; fills Plan.members
// and Plan.placement.
//
// kSoonest (after workers were lost): the plan that commits soonest. Intact groups keep exactly their owners, so no
// state moves; survivors of broken groups and newcomers join them as
//   members that keep nothing but compute. When no group is intact, survivors form groups anew, each keeping what it
//   holds as far as it fits; the rest is assigned to balance.
// kBalanced (at a boundary): as many groups as memory allows, at most max_groups, chains and ranks; groups of
// near-equal size; blocks and experts even, sticky: a rank keeps
//   what it holds up to its balanced share. When a layout like the previous one is balanced already, nothing changes.
//   With a load, experts then change places in pairs until no rank has much more of a layer's work than the others, if
//   that lasts and is worth the job's load_gain (even_out.hpp); counts stay.
// Ranks: survivors in their previous order, then newcomers by worker id. Workers beyond the number of microbatches are
// spares (members in no group), newcomers first. Order: equal inputs give equal output on every machine. Cost: O(R log
// R + groups * experts of all layers); 16,384 workers within 100 ms, without a load.
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
  std::string reason;              // for people: what it is and what it does not do
  std::int64_t bytes_to_move = 0;  // state (master and moments) that ranks keep now and did not before
  // sum over ranks of max(0, balanced share - held before): no balanced plan moves less, and one by load may move more
  std::int64_t bytes_bound = 0;
  std::optional<RankLoad> rank_load;  // where experts are placed by load
};

struct PlanningResult {
  std::optional<Planned> planned;
  std::string reason;  // always; without a plan: what is missing
};

PlanningResult make_placement(const PlannerInput& input);

}  // namespace regroup::planning
