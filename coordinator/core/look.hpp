// look.hpp: one look at one job: what is known of it, what is remembered, and the decision as it takes shape. Pure;
// what the parts of decide share.
#pragma once

#include "coordinator/core/cluster_view.hpp"
#include "coordinator/core/link_history.hpp"
#include "coordinator/core/newcomers.hpp"
#include "coordinator/core/plan_draft.hpp"
#include "coordinator/core/rebalance.hpp"
#include "coordinator/core/roster.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regroup::coordinator {

// What is remembered of a job between two looks. A takeover loses it, and waits begin anew: that costs a little time.
struct JobMemory {
  Epoch epoch;                          // of the plan that the rest is about
  std::optional<Instant> first_ready;   // a worker is ready for the first plan
  std::optional<Instant> first_joiner;  // a worker is warm for `epoch`
  std::optional<Instant> first_help;    // the job waits for state, and a newcomer may have it
  bool balance_checked = false;         // kBalanced gives nothing better for `epoch`
  LoadMemory load;
  LinkHistory links;  // of all epochs
  std::map<WorkerId, Instant> lost_since;
};

struct Decision {
  std::optional<Plan> plan;             // to be published; passes check_plan
  JobState state = JobState::kUnknown;  // of JobStatus
  std::string reason;
  std::vector<WorkerId> ends;  // to be ended by their agents: AssignmentRecord
  std::string failure;         // the job cannot go on: why it has failed
  std::vector<std::string> notes;
};

// "1 node", "2 nodes".
std::string count(std::size_t n, const std::string& noun);
std::size_t num_nodes(const std::vector<Participant>& participants);

// Its arguments must outlive it.
struct Look {
  Look(const ClusterView& view, const JobRecords& job, JobMemory& memory, const Now& now);

  void say(JobState state, const std::string& reason);
  void note(const std::string& text) { decision.notes.push_back(text); }
  // Makes the draft's plan the decision. Where no such plan is possible, the decision is to wait, with the reason.
  void propose(const PlanDraft& draft);
  Newcomers newcomers() { return find_newcomers(view, job, roster, decision.notes); }
  // The nodes whose agents may have snapshots: those that are usable, and those that shall leave.
  [[nodiscard]] std::vector<NodeId> agents() const;

  const ClusterView& view;
  const JobRecords& job;
  JobMemory& memory;
  const Now& now;
  const JobSpec& spec;
  Roster roster;
  Decision decision;
};

}  // namespace regroup::coordinator
