#include "coordinator/core/improve.hpp"

#include <set>
#include <string>

namespace regroup::coordinator {
namespace {

void propose_improvement(Look& look, const PlanDraft& draft) {
  const Decision before = look.decision;
  look.propose(draft);
  if (look.decision.plan) return;
  const std::string problem = look.decision.reason;
  look.decision = before;  // training goes on as it is
  look.note(problem);
}

// After workers were lost, the plan that commits soonest left redundancy and balance undone. Where only the experts'
// load would change something, nothing is done here: move_by_load has its own times.
void restore_balance(Look& look, const Newcomers& found) {
  const Plan& plan = look.job.plan->value;
  if (!is_loss(plan.cause) || look.memory.balance_checked) return;
  if (found.on_the_way > 0 && look.now.at - look.job.in_force.since() < look.view.timing().rebalance_wait) return;
  look.memory.balance_checked = true;
  PlanDraft draft;
  draft.when = When::kBoundary;
  draft.previous = &plan;
  draft.members = plan.members;
  draft.cause = Cause::kBalance;
  draft.reason = "redundancy and balance are restored among " + count(plan.members.size(), "worker");
  draft.by_load = false;
  const auto by_count = make_plan(look.view, look.job, draft, look.now);
  if (!by_count || by_count->plan.placement == plan.placement) return;
  draft.by_load = true;
  propose_improvement(look, draft);
}

void move_by_load(Look& look, const Newcomers& found) {
  if (found.on_the_way > 0 && look.now.at - look.job.in_force.since() < look.view.timing().arrival_wait) return;
  look.decision.plan = rebalance(look.view, look.job, look.memory.load, look.now);
  if (look.decision.plan) return look.say(JobState::kRegrouping, look.decision.plan->reason);
  if (!look.memory.load.finding.empty()) look.note(look.memory.load.finding);
}

}  // namespace

void improve(Look& look) {
  const Plan& plan = look.job.plan->value;
  const Newcomers found = look.newcomers();
  PlanDraft draft;
  draft.when = When::kBoundary;
  draft.previous = &plan;
  std::set<NodeId> left;
  for (const Participant& member : plan.members) {
    if (look.roster.leaving.contains(member.worker.node)) {
      draft.donors.push_back(member);
      left.insert(member.worker.node);
    } else {
      draft.members.push_back(member);
    }
  }
  draft.members.insert(draft.members.end(), found.warm.begin(), found.warm.end());
  look.say(JobState::kTraining, count(plan.members.size(), "worker") + " on " + count(num_nodes(plan.members), "node") +
                                    " in " + count(plan.placement.groups.size(), "group"));

  if (!found.warm.empty() && !look.memory.first_joiner) look.memory.first_joiner = look.now.at;
  if (found.warm.empty()) look.memory.first_joiner.reset();
  if (!draft.donors.empty()) {
    if (num_nodes(draft.members) < static_cast<std::size_t>(look.spec.elastic.min_nodes)) {
      look.note("nodes that shall leave stay for now: " + count(num_nodes(draft.members), "node") +
                " would remain, the job needs at least " + std::to_string(look.spec.elastic.min_nodes));
    } else {
      const Leaving& first = look.roster.leaving.at(*left.begin());
      draft.cause = first.cause;
      draft.reason = count(left.size(), "node") + " leave" + (left.size() == 1 ? "s (" : " (") + left.begin()->value +
                     ": " + first.why + ")" +
                     (found.warm.empty()
                          ? ""
                          : ", " + count(found.warm.size(), "worker") + " join" + (found.warm.size() == 1 ? "s" : ""));
      return propose_improvement(look, draft);
    }
  }
  if (!found.warm.empty()) {
    if (found.on_the_way > 0 && look.now.at - *look.memory.first_joiner < look.view.timing().join_batch) return;
    if (!draft.donors.empty()) {  // too few nodes would remain, so those that shall leave stay members for now
      draft.members.insert(draft.members.end(), draft.donors.begin(), draft.donors.end());
      draft.donors.clear();
    }
    draft.cause = Cause::kJoin;
    draft.reason = count(found.warm.size(), "worker") + (found.warm.size() == 1 ? " joins (" : " join (") +
                   to_string(found.warm.front().worker) + (found.warm.size() == 1 ? ")" : ", ...)");
    return propose_improvement(look, draft);
  }
  restore_balance(look, found);
  if (!look.decision.plan) move_by_load(look, found);
}

}  // namespace regroup::coordinator
