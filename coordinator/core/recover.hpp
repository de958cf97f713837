// recover.hpp: plans that begin at once, because members are lost or have no state to go on from. Pure; a part of
// decide.
#pragma once

#include "coordinator/core/look.hpp"
#include "coordinator/core/lost_workers.hpp"

namespace regroup::coordinator {

// The plan that commits soonest: the survivors alone, and newcomers only where those are too few or lack memory. Below
// min_nodes the job waits.
void go_on_without(Look& look, const LostWorkers& lost);

// Every member of the plan says that it waits, and has for a while: none found a complete source of state.
bool waits_for_state(const Look& look);
// With newcomers, agents or a checkpoint that the plan did not ask, when there are any.
void bring_help(Look& look);

}  // namespace regroup::coordinator
