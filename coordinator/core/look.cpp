#include "coordinator/core/look.hpp"

#include <set>
#include <utility>

namespace regroup::coordinator {

std::string count(std::size_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

std::size_t num_nodes(const std::vector<Participant>& participants) {
  std::set<NodeId> nodes;
  for (const Participant& p : participants) nodes.insert(p.worker.node);
  return nodes.size();
}

Look::Look(const ClusterView& the_view, const JobRecords& the_job, JobMemory& the_memory, const Now& the_now)
    : view(the_view),
      job(the_job),
      memory(the_memory),
      now(the_now),
      spec(job.spec->value),
      roster(roster_of(view, job)) {}

void Look::say(JobState state, const std::string& reason) {
  decision.state = state;
  decision.reason = reason;
}

void Look::propose(const PlanDraft& draft) {
  auto drafted = make_plan(view, job, draft, now);
  if (!drafted)
    return say(JobState::kWaiting, "no plan is possible: " + drafted.error().context + " (" + draft.reason + ")");
  say(JobState::kRegrouping, drafted->plan.reason);
  decision.plan = std::move(drafted->plan);
}

std::vector<NodeId> Look::agents() const {
  std::vector<NodeId> nodes(roster.usable.begin(), roster.usable.end());
  for (const auto& [node, leaving] : roster.leaving) nodes.push_back(node);
  return nodes;
}

}  // namespace regroup::coordinator
