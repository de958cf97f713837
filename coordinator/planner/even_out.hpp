// even_out.hpp: experts exchanged between the members of a group until no member has much more of a layer's work than
// the others. Pure; a part of the planner.
//
// Slots of one layer change places in pairs, so each member keeps as many as before: even by count, by memory and over
// the layers stays even. The heaviest member of the layer swaps with whichever other member leaves the heavier of the
// two lightest; ties go to the first in order of slots. Few swaps: a layer is left where its heaviest is within 2 % of
// the mean, and swaps count only up to the last one that lowered the heaviest by 2 % of the mean. Source: the swaps of
// a longest-processing-time schedule, from the layout at hand in place of a new one. It has to last: a load is followed
// only if experts that lay by the load of eight steps before would gain enough now. While routers find their ways, what
// they do now says nothing of later. Order: equal inputs give equal output on every machine. Cost: at most one swap an
// expert of a layer, each at most experts of the heaviest x experts of the layer.
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

// How unevenly a placement spreads the experts' work of now: heaviest_over_mean of its most uneven group.
struct RankLoad {
  double by_count = 1;  // where experts lie by count alone, as sticky as they are
  double by_load = 1;   // after the swaps
  double lasting = 1;   // after the swaps of eight steps before
};
std::string to_string(const RankLoad& load);  // "heaviest rank 1.38 -> 1.04 x the mean"

double most_uneven(const Placement& placement, const ModelShape& model, const std::vector<std::int64_t>& expert_load);

// [slot] tokens of the slot's expert; slices of one expert share its tokens evenly, so that each counts alike.
// `expert_load`: [layer * experts + expert], of all layers.
std::vector<std::int64_t> slot_loads(const ModelShape& model, const std::vector<std::int64_t>& expert_load);

// Changes the layers of one group's `expert_member`. Gives the number of swaps.
int even_out(const StateShape& shape, const std::vector<std::int64_t>& slot_load, int num_members,
             std::vector<int>& expert_member);

// Every group of a placement by count, evened out by the load of now. None, and the placement as it was, where by_count
// - lasting is below min_gain or the load before is not known.
std::optional<RankLoad> even_out_groups(const ModelShape& model, const StateShape& shape, const LoadRecord& load,
                                        double min_gain, Placement& placement);

}  // namespace regroup::planning
