// recover.hpp: plans that begin at once, because workers are lost or the members have no state to go on from. Pure; a
// part of decide.
#pragma once

#include "coordinator/core/look.hpp"
#include "coordinator/core/lost_workers.hpp"

namespace regroup::coordinator {

// The plan that commits soonest: with the survivors alone, and with newcomers only if the survivors are too few or have
// too little memory. Below min_nodes the job waits.
void go_on_without(Look& look, const LostWorkers& lost);

// All members of the plan say, Timing::stuck_wait after it, that they lack state: neither they nor those whom the plan
// lets them ask have a complete one.
bool waits_for_state(const Look& look);
// A plan that also asks newcomers, agents or a checkpoint which the present plan does not, when there are any.
void bring_help(Look& look);

}  // namespace regroup::coordinator
