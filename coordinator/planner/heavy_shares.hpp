// heavy_shares.hpp: which members carry one expert more than the others, layer by layer. Pure; a part of the planner.
//
// E experts of a layer on n members: E mod n members carry one more. Over the layers each member carries the heavier
// share equally often (to one); among such choices, as often as possible in layers where it holds that many already.
#pragma once

#include <vector>

namespace regroup::planning {

// wants[layer]: members that hold enough for the heavier share there, ascending. Gives heavy[layer]: `heavy_per_layer`
// members each, ascending.
std::vector<std::vector<int>> choose_heavy(int num_members, int heavy_per_layer,
                                           const std::vector<std::vector<int>>& wants);

}  // namespace regroup::planning
