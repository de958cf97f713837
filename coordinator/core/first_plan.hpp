// first_plan.hpp: the plan of a job that has none, or of which nobody is left. Pure; a part of decide.
#pragma once

#include "coordinator/core/look.hpp"

#include <vector>

namespace regroup::coordinator {

// With whoever is ready, once they are enough and the others had a moment. `donors`: of an earlier plan, still alive.
void first_plan(Look& look, const std::vector<Participant>& donors);

}  // namespace regroup::coordinator
