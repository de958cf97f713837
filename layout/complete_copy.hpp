// complete_copy.hpp: whether the ranks that are left hold the whole training state among them. Pure.
//
// Every group keeps one copy, so a rank that is gone takes something of one copy with it; another group may have the
// same. A copy is complete while each dense block and each expert has at least one owner left, of whichever group.
#pragma once

#include "layout/placement.hpp"

#include <vector>

namespace regroup {

// alive[rank]: of every rank of the placement. A placement without groups holds nothing.
bool complete_copy_remains(const Placement& placement, const std::vector<bool>& alive);

}  // namespace regroup
