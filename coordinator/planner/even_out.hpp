// even_out.hpp: experts change places between the members of a group until no member has much more of a layer's work
// than the others. Pure; a part of the planner.
//
// A router sends some experts many times the tokens of others, and in each layer the whole group waits for the member
// whose experts got the most. Popular experts must therefore lie apart. Experts are exchanged in pairs, never moved
// alone: so every member keeps as many experts of each layer as before, and needs as much memory.
//
// Rule, for each layer: take the heaviest member. Try each of its experts against each expert of the other members, and
// make the swap after which the heavier of the two members is lightest; ties go to the first in order of slots. Repeat
// until the heaviest is within 2 % of the mean, or no swap lowers it. A swap costs a transfer, so swaps at the end that
// together gained less than 2 % of the mean are undone. This is the local search that is usually run after a
// longest-processing-time schedule, begun from the present layout in place of a new schedule.
//
// Does it last? While routers still learn, what they do now says little about later, and experts would move to and fro.
// So the swaps are also made by the load of eight steps before. Only if that older placement would have gained enough
// under the load of now are experts moved at all.
//
// Equal inputs give equal output on every machine. Cost: at most one swap for each expert of a layer, each at most
// (experts of the heaviest member) x (experts of the layer).
#pragma once

#include "api/records.hpp"
#include "coordinator/planner/group_layout.hpp"
#include "layout/model_shape.hpp"
#include "layout/placement.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regroup::planning {

// How unevenly the experts' work of now is spread: the heaviest member over the mean (heaviest_over_mean), in the most
// uneven group of three placements.
struct RankLoad {
  double by_count = 1;  // without swaps: equal numbers of experts
  double by_load = 1;   // swapped by the load of now
  double lasting = 1;   // swapped by the load of eight steps before
};
std::string to_string(const RankLoad& load);  // "heaviest rank 1.38 -> 1.04 x the mean"

double most_uneven(const Placement& placement, const ModelShape& model, const std::vector<std::int64_t>& expert_load);

// [slot] tokens of the slot's expert; slices of one expert share its tokens evenly, so that each counts alike.
// `expert_load`: [layer * experts + expert], of all layers.
std::vector<std::int64_t> slot_loads(const ModelShape& model, const std::vector<std::int64_t>& expert_load);

// Swaps owners in one group's `expert_member`, layer by layer. Returns the number of swaps.
int even_out(const StateShape& shape, const std::vector<std::int64_t>& slot_load, int num_members,
             std::vector<int>& expert_member);

// Evens out every group of a placement by the load of now. When `by_count - lasting` is below min_gain, or the load of
// eight steps before is not known, the placement stays as it was and nothing is returned.
std::optional<RankLoad> even_out_groups(const ModelShape& model, const StateShape& shape, const LoadRecord& load,
                                        double min_gain, Placement& placement);

}  // namespace regroup::planning
