// decide.hpp: the next plan of one job, or why there is none. Pure.
//
// It looks at what is, not at what happened (level-triggered): whatever was missed is seen at the next look, and after
// a takeover nothing has to be handed over.
//
// Order of the questions. Without any plan: who begins? With one: are workers lost? Then the plan that commits soonest,
// at once. Do all members wait for state that newcomers may bring? Is a plan under way? Then wait for it. Shall the job
// stop? Would a change at a step boundary improve things: nodes leave, workers join, balance is restored, experts move
// by their load?
#pragma once

#include "coordinator/core/look.hpp"

namespace regroup::coordinator {

Decision decide(const ClusterView& view, const JobRecords& job, JobMemory& memory, const Now& now);

}  // namespace regroup::coordinator
