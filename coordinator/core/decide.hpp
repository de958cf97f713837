// decide.hpp: the next plan of one job, or why there is none. Pure; level-triggered: looks at what is, not at what
// happened.
//
// Order of questions: is somebody lost (then the plan that commits soonest, now); does the job wait for a source of
// state that newcomers may bring; is a plan under way; would a change at a step boundary improve things (leave, join,
// restore balance, experts by their load). Without any plan: the first one.
#pragma once

#include "coordinator/core/look.hpp"

namespace regroup::coordinator {

Decision decide(const ClusterView& view, const JobRecords& job, JobMemory& memory, const Now& now);

}  // namespace regroup::coordinator
