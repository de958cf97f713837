// buddy.hpp: the node that keeps a second copy of a worker's snapshots. Pure.
#pragma once

#include "api/plan.hpp"

#include <string>

namespace regroup {

// The agent address of the node that keeps a second copy of this worker's snapshots; empty when none is needed: another
// group is complete without this node, or there is no other node.
std::string buddy_of(const Plan& plan, const WorkerId& worker);

}  // namespace regroup
