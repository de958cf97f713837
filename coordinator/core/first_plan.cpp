#include "coordinator/core/first_plan.hpp"

#include <string>

namespace regroup::coordinator {

void first_plan(Look& look, const std::vector<Participant>& donors) {
  if (!look.job.scan_problem.empty()) return look.say(JobState::kWaiting, look.job.scan_problem);
  if (!look.job.manifests_scanned)
    return look.say(JobState::kStarting, "looks for checkpoints in " + look.spec.snapshots.checkpoint_dir);
  const Newcomers found = look.newcomers();
  const std::size_t ready_nodes = num_nodes(found.ready);
  const auto need = static_cast<std::size_t>(look.spec.elastic.min_nodes);
  if (found.ready.empty()) look.memory.first_ready.reset();
  if (!found.ready.empty() && !look.memory.first_ready) look.memory.first_ready = look.now.at;
  if (ready_nodes < need) {
    const std::string who = count(ready_nodes, "node") + " of at least " + std::to_string(need) + " ready, " +
                            count(look.roster.usable.size(), "node") + " assigned";
    return look.say(JobState::kWaiting, look.roster.usable.empty() ? "no node is free for this job (needs at least " +
                                                                         std::to_string(need) + ")"
                                                                   : who);
  }
  if (!found.all_ready && look.now.at - *look.memory.first_ready < look.view.timing().start_wait) {
    return look.say(JobState::kStarting, count(ready_nodes, "node") + " of " +
                                             std::to_string(look.roster.usable.size()) +
                                             " ready, the others get a moment");
  }
  PlanDraft draft;
  draft.members = found.ready;
  draft.donors = donors;
  draft.snapshot_nodes = look.agents();
  draft.cause = Cause::kStart;
  const bool resumes = look.job.plan || look.job.born || !look.job.checkpoints.empty();
  draft.reason = (resumes ? "no member of an earlier plan is left; the job resumes on " : "the job begins on ") +
                 count(ready_nodes, "node");
  look.propose(draft);
}

}  // namespace regroup::coordinator
