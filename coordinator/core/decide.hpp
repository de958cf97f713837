// decide.hpp: the next plan of one job, or why there is none. Pure; level-triggered: looks at what is, not at what
// happened.
//
// Order of questions: is somebody lost (then the plan that commits soonest, now); does the job wait for a source of
// state that newcomers may bring; is a plan under way; would a change at a step boundary improve things (leave, join,
// restore balance, experts by their load). Without any plan: the first one.
#pragma once

#include "coordinator/core/cluster_view.hpp"
#include "coordinator/core/rebalance.hpp"
#include "coordinator/core/roster.hpp"

#include <optional>
#include <string>
#include <vector>

namespace regroup::coordinator {

// What is remembered of a job between two looks. Losing it, by a takeover, costs a little time and no truth.
struct JobMemory {
  Epoch epoch;                          // of the plan that the rest is about
  std::optional<Instant> first_ready;   // a worker is ready for the first plan
  std::optional<Instant> first_joiner;  // a worker is warm for `epoch`
  std::optional<Instant> first_help;    // the job waits for state, and a newcomer may have it
  bool balance_checked = false;         // kBalanced gives nothing better for `epoch`
  LoadMemory load;
};

struct Decision {
  std::optional<Plan> plan;  // to be published; passes check_plan
  std::string state;         // of JobStatus
  std::string reason;
  std::vector<std::string> notes;
};

Decision decide(const ClusterView& view, const JobView& job, JobMemory& memory, const Now& now);

}  // namespace regroup::coordinator
