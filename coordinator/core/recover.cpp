#include "coordinator/core/recover.hpp"

#include "coordinator/core/first_plan.hpp"
#include "layout/complete_copy.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace regroup::coordinator {
namespace {

// The plan that says what the workers hold. While a boundary plan is pending that is its parent (which is put into
// `parent`), unless a worker has reported in the new epoch and so has switched.
const Plan* held_layout(const Look& look, const LostWorkers& lost, std::optional<Plan>& parent) {
  const Plan& plan = look.job.plan->value;
  if (!look.job.is_pending() || lost.spoken_epoch == plan.epoch) return &plan;
  const auto text = look.job.history.find(plan.parent.value);
  if (text == look.job.history.end()) return &plan;
  auto read = plan_from_json(text->second);
  if (!read) return &plan;
  parent = std::move(*read);
  return &*parent;
}

// Why the first of them that waits does so: it may be what the lost one was refused for.
std::string what_they_say(const Look& look, const std::vector<Participant>& members) {
  for (const Participant& member : members) {
    const WorkerRecord* record = look.view.slot_of(member.worker);
    if (record != nullptr && record->id == member.worker && record->state == WorkerState::kWaiting)
      return "; " + member.worker.node.value + " waits for " + record->text;
  }
  return {};
}

// Only a plan that goes without a worker makes its agent replace it, and none is possible. So the agents of those that
// still run are told: after a while, in which they may come back with their state; or at once where that stands
// elsewhere and the worker is not only silent, for a machine that was stopped for a moment costs less than a new
// process.
void end_the_lost(Look& look, const LostWorkers& lost, bool is_elsewhere) {
  for (const LostWorker& one : lost.workers) {
    const WorkerRecord* record = look.view.slot_of(one.worker);
    if (record == nullptr || record->id != one.worker || record->state == WorkerState::kFailed) continue;
    if ((is_elsewhere && one.cause != Cause::kSilent) ||
        look.now.at - look.memory.lost_since.at(one.worker) >= look.view.timing().end_wait)
      look.decision.ends.push_back(one.worker);
  }
}

}  // namespace

void go_on_without(Look& look, const LostWorkers& lost) {
  const Plan& plan = look.job.plan->value;
  std::set<WorkerId> gone;
  std::set<NodeId> doubtful;  // nodes whose agents have said nothing since: perhaps lost with their workers
  PlanDraft draft;
  draft.cause = lost.workers.front().cause;
  for (const LostWorker& one : lost.workers) {
    gone.insert(one.worker);
    if (!one.agent_speaks) doubtful.insert(one.worker.node);
    draft.detected_at_ms =
        draft.detected_at_ms == 0 ? one.detected_at_ms : std::min(draft.detected_at_ms, one.detected_at_ms);
    if (one.cause == Cause::kNodeLost) draft.cause = Cause::kNodeLost;
    if (gone.size() <= 4) draft.reason += (draft.reason.empty() ? "" : ", ") + one.text;
  }
  if (gone.size() > 4) draft.reason += " and " + count(gone.size() - 4, "other");
  std::vector<bool> survives;  // [rank]
  for (const Participant& member : plan.members) survives.push_back(!gone.contains(member.worker));
  const auto alive = [&](const std::vector<Participant>& from) {
    std::vector<Participant> result;
    std::copy_if(from.begin(), from.end(), std::back_inserter(result),
                 [&](const Participant& p) { return !gone.contains(p.worker); });
    return result;
  };
  draft.members = alive(plan.members);
  if (!look.job.is_in_force()) draft.donors = alive(plan.donors);
  if (draft.members.empty()) {
    end_the_lost(look, lost, false);  // else their slots stay taken by processes that nobody counts on
    return first_plan(look, draft.donors);
  }

  draft.goal = planning::Goal::kSoonest;
  std::optional<Plan> parent;
  draft.previous = held_layout(look, lost, parent);
  const bool complete = look.job.is_in_force() && complete_copy_remains(plan.placement, survives);
  for (const NodeId& node : look.agents()) {
    if (!complete || !doubtful.contains(node)) draft.snapshot_nodes.push_back(node);
  }
  const auto need = static_cast<std::size_t>(look.spec.elastic.min_nodes);
  const std::string story = draft.reason;
  if (num_nodes(draft.members) < need) {
    const Newcomers found = look.newcomers();
    draft.members.insert(draft.members.end(), found.ready.begin(), found.ready.end());
    draft.goal = planning::Goal::kBalanced;
    if (num_nodes(draft.members) < need) {
      end_the_lost(look, lost, complete);
      return look.say(JobState::kWaiting, "lost " + story + "; " + count(num_nodes(draft.members), "node") +
                                              " left, the job needs at least " + std::to_string(need) +
                                              ": the others keep their state and wait for nodes" +
                                              what_they_say(look, draft.members));
    }
  }
  draft.reason = "lost " + story + "; " + count(draft.members.size(), "worker") + " on " +
                 count(num_nodes(draft.members), "node") + " go on";
  look.propose(draft);
  // The survivors alone have too little memory: with the newcomers that are ready.
  if (!look.decision.plan && draft.goal == planning::Goal::kSoonest) {
    const Newcomers found = look.newcomers();
    if (found.ready.empty()) return;
    draft.members.insert(draft.members.end(), found.ready.begin(), found.ready.end());
    draft.goal = planning::Goal::kBalanced;
    look.propose(draft);
  }
}

bool waits_for_state(const Look& look) {
  const Plan& plan = look.job.plan->value;
  if (look.now.at - look.job.plan->last_changed < look.view.timing().stuck_wait) return false;
  return std::all_of(plan.members.begin(), plan.members.end(), [&](const Participant& member) {
    const WorkerRecord* record = look.view.slot_of(member.worker);
    return record != nullptr && record->id == member.worker && record->state == WorkerState::kWaiting && record->lacks;
  });
}

void bring_help(Look& look) {
  const Plan& plan = look.job.plan->value;
  const Newcomers found = look.newcomers();
  std::vector<NodeId> new_agents;
  for (const NodeId& node : look.agents()) {
    if (!names_node(plan, node)) new_agents.push_back(node);
  }
  const bool checkpoint = !look.job.checkpoints.empty() && plan.checkpoint_step != look.job.checkpoints.rbegin()->first;
  const WorkerRecord* first = look.view.slot_of(plan.members.front().worker);
  look.say(JobState::kWaiting,
           "the members wait for a complete source of state: " + (first != nullptr ? first->text : std::string()));
  if (found.ready.empty() && new_agents.empty() && !checkpoint) {
    look.memory.first_help.reset();
    return;
  }
  if (!look.memory.first_help) look.memory.first_help = look.now.at;
  if (look.now.at - *look.memory.first_help < look.view.timing().join_batch) return;
  PlanDraft draft;
  draft.members = plan.members;
  draft.members.insert(draft.members.end(), found.ready.begin(), found.ready.end());
  draft.donors = plan.donors;
  draft.snapshot_nodes = look.agents();
  draft.previous = &plan;
  draft.cause = Cause::kJoin;
  draft.reason = "the members lack state that " + count(found.ready.size(), "newcomer") + ", " +
                 count(new_agents.size(), "agent") + (checkpoint ? " or a newer checkpoint" : "") + " may have";
  look.propose(draft);
}

}  // namespace regroup::coordinator
