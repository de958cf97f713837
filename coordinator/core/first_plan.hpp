// first_plan.hpp: the plan of a job that has none yet, or of whose members nobody is left. Pure; a part of decide.
#pragma once

#include "coordinator/core/look.hpp"

#include <vector>

namespace regroup::coordinator {

// Begins with the workers that are ready, once they are on min_nodes nodes and the others have had Timing::start_wait
// to come. `donors`: workers of an earlier plan that are still alive and may have state.
void first_plan(Look& look, const std::vector<Participant>& donors);

}  // namespace regroup::coordinator
