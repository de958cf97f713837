// heavy_shares.hpp: which members carry one expert more than the others, layer by layer. Pure; a part of the planner.
//
// Ten experts of a layer on four members: two members keep three, two keep two. Over all layers each member carries
// such a heavier share equally often (to one), or its memory and its work would grow. Among the choices that allow
// this, the one is taken in which most heavier shares fall on members that hold as many experts of that layer already,
// because then nothing moves. That is a bipartite matching with capacities: layers take members, by augmenting paths.
#pragma once

#include <vector>

namespace regroup::planning {

// wants[layer]: the members that hold enough experts for the heavier share of that layer, ascending. Returns
// heavy[layer]: the `heavy_per_layer` members that carry it, ascending.
std::vector<std::vector<int>> choose_heavy(int num_members, int heavy_per_layer,
                                           const std::vector<std::vector<int>>& wants);

}  // namespace regroup::planning
