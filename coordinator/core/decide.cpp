#include "coordinator/core/decide.hpp"

#include "coordinator/core/losses.hpp"
#include "coordinator/core/newcomers.hpp"
#include "coordinator/core/plan_draft.hpp"
#include "coordinator/core/stopping.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace regroup {
namespace {

std::string count(std::size_t n, const std::string& noun) { return std::to_string(n) + " " + noun + (n == 1 ? "" : "s"); }

std::size_t num_nodes(const std::vector<Participant>& participants) {
  std::set<NodeId> nodes;
  for (const Participant& p : participants) nodes.insert(p.worker.node);
  return nodes.size();
}

bool made_in_a_hurry(const Plan& plan) {
  for (const char* cause : {"worker_lost", "node_lost", "silent", "hang", "fault"}) {
    if (plan.cause == cause) return true;
  }
  return false;
}

class Deciding {
 public:
  Deciding(const ClusterView& view, const JobView& job, JobMemory& memory, const Now& now)
      : view_(view), job_(job), memory_(memory), now_(now), spec_(job.spec->value), roster_(roster_of(view, job)) {}

  Decision run() {
    const Epoch epoch = job_.plan ? job_.plan->value.epoch : Epoch{};
    if (memory_.epoch != epoch) {
      const int moves = job_.plan && job_.plan->value.cause == "load" ? memory_.load.moves + 1 : 0;
      memory_ = JobMemory{.epoch = epoch, .load = {.moves = moves}};
    }
    if (!roster_.target_reason.empty()) note(roster_.target_reason);
    for (const auto& [node, why] : roster_.leaving) note("node " + node.value + " is to leave: " + why);
    for (const auto& [key, why] : view_.unreadable()) {
      if (key.starts_with(view_.keys().nodes())) note("node " + key.substr(view_.keys().nodes().size()) + " is refused: " + why);
    }
    if (!job_.plan) {
      first_plan({});
    } else if (Losses losses = find_losses(view_, job_, now_); !losses.lost.empty()) {
      after_loss(losses);
    } else if (!job_.in_force() && waits_for_state()) {
      bring_help();
    } else if (!job_.in_force()) {
      const Plan& plan = job_.plan->value;
      if (plan.ends) return say_stopping();
      const std::string begins = plan.when == When::kBoundary ? " begins at the next step boundary: " : " begins: ";
      say("regrouping", "epoch " + std::to_string(plan.epoch.value) + begins + plan.reason);
    } else if (stop_wished(job_)) {
      decision_.plan = make_ending(view_, job_, now_);
      return say_stopping();
    } else {
      improve();
    }
    return std::move(decision_);
  }

 private:
  void say(const std::string& state, const std::string& reason) {
    decision_.state = state;
    decision_.reason = reason;
  }
  Decision say_stopping() {
    say("stopping", "its members save the step under way and end");
    return std::move(decision_);
  }
  void note(const std::string& text) { decision_.notes.push_back(text); }

  void publish(const PlanDraft& draft) {
    auto drafted = make_plan(view_, job_, draft, now_);
    if (!drafted) return say("waiting", "no plan is possible: " + drafted.error().context + " (" + draft.reason + ")");
    say("regrouping", drafted->plan.reason);
    decision_.plan = std::move(drafted->plan);
  }

  Newcomers newcomers() { return find_newcomers(view_, job_, roster_, decision_.notes); }

  std::vector<NodeId> agents() const {
    std::vector<NodeId> nodes(roster_.usable.begin(), roster_.usable.end());
    for (const auto& [node, why] : roster_.leaving) nodes.push_back(node);
    return nodes;
  }

  // ---- the first plan, also after everybody was lost --------------------------------------------------------------------------------------

  void first_plan(const std::vector<Participant>& donors) {
    if (!job_.scan_problem.empty()) return say("waiting", job_.scan_problem);
    if (!job_.manifests_scanned) return say("starting", "looks for checkpoints in " + spec_.snapshots.checkpoint_dir);
    const Newcomers found = newcomers();
    const std::size_t ready_nodes = num_nodes(found.ready);
    const auto need = static_cast<std::size_t>(spec_.elastic.min_nodes);
    if (found.ready.empty()) memory_.first_ready.reset();
    if (!found.ready.empty() && !memory_.first_ready) memory_.first_ready = now_.at;
    if (ready_nodes < need) {
      const std::string who =
          count(ready_nodes, "node") + " of at least " + std::to_string(need) + " ready, " + count(roster_.usable.size(), "node") + " assigned";
      return say("waiting", roster_.usable.empty() ? "no node is free for this job (needs at least " + std::to_string(need) + ")" : who);
    }
    if (!found.all_ready && now_.at - *memory_.first_ready < view_.timing().start_wait) {
      return say("starting", count(ready_nodes, "node") + " of " + std::to_string(roster_.usable.size()) + " ready, the others get a moment");
    }
    PlanDraft draft;
    draft.members = found.ready;
    draft.donors = donors;
    draft.snapshot_nodes = agents();
    draft.first = !job_.plan;
    draft.cause = "start";
    const bool fresh = !job_.plan && !job_.born && job_.checkpoints.empty();
    draft.reason = (fresh ? "the job begins on " : "no member of an earlier plan is left; the job resumes on ") + count(ready_nodes, "node");
    publish(draft);
  }

  // ---- a loss ------------------------------------------------------------------------------------------------------------------------------

  // What the workers hold: the pending plan's parent, unless somebody is known to have switched.
  const Plan* held_layout(const Losses& losses) {
    const Plan& plan = job_.plan->value;
    if (!job_.pending() || losses.spoken_epoch == plan.epoch) return &plan;
    const auto text = job_.history.find(plan.parent.value);
    if (text == job_.history.end()) return &plan;
    auto parent = plan_from_json(text->second);
    if (!parent) return &plan;
    parent_ = std::move(*parent);
    return &*parent_;
  }

  void after_loss(const Losses& losses) {
    const Plan& plan = job_.plan->value;
    std::set<WorkerId> lost;
    std::set<NodeId> doubtful;  // nobody on that node has said anything since
    PlanDraft draft;
    draft.cause = losses.lost.front().cause;
    for (const Loss& loss : losses.lost) {
      lost.insert(loss.worker);
      if (!loss.agent_speaks) doubtful.insert(loss.worker.node);
      draft.detected_at_ms = draft.detected_at_ms == 0 ? loss.detected_at_ms : std::min(draft.detected_at_ms, loss.detected_at_ms);
      if (loss.cause == "node_lost") draft.cause = "node_lost";
      if (lost.size() <= 4) draft.reason += (draft.reason.empty() ? "" : ", ") + loss.text;
    }
    if (lost.size() > 4) draft.reason += " and " + count(lost.size() - 4, "other");
    const auto alive = [&](const std::vector<Participant>& from) {
      std::vector<Participant> result;
      std::copy_if(from.begin(), from.end(), std::back_inserter(result), [&](const Participant& p) { return !lost.contains(p.worker); });
      return result;
    };
    draft.members = alive(plan.members);
    if (!job_.in_force()) draft.donors = alive(plan.donors);
    if (draft.members.empty()) return first_plan(draft.donors);

    draft.goal = Goal::kSoonest;
    draft.previous = held_layout(losses);
    const bool complete = job_.in_force() && covers_all(plan, lost);
    for (const NodeId& node : agents()) {
      if (!complete || !doubtful.contains(node)) draft.snapshot_nodes.push_back(node);
    }
    const auto need = static_cast<std::size_t>(spec_.elastic.min_nodes);
    const std::string story = draft.reason;
    if (num_nodes(draft.members) < need) {
      const Newcomers found = newcomers();
      draft.members.insert(draft.members.end(), found.ready.begin(), found.ready.end());
      draft.goal = Goal::kBalanced;
      if (num_nodes(draft.members) < need) {
        return say("waiting", "lost " + story + "; " + count(num_nodes(draft.members), "node") + " left, the job needs at least " + std::to_string(need) +
                                  ": the others keep their state and wait for nodes");
      }
    }
    draft.reason = "lost " + story + "; " + count(draft.members.size(), "worker") + " on " + count(num_nodes(draft.members), "node") + " go on";
    publish(draft);
    if (!decision_.plan && draft.goal == Goal::kSoonest) {  // the survivors alone do not fit: with whoever is ready
      const Newcomers found = newcomers();
      if (found.ready.empty()) return;
      draft.members.insert(draft.members.end(), found.ready.begin(), found.ready.end());
      draft.goal = Goal::kBalanced;
      publish(draft);
    }
  }

  // ---- members without a source of state ---------------------------------------------------------------------------------------------------

  bool waits_for_state() const {
    const Plan& plan = job_.plan->value;
    if (now_.at - job_.plan->last_changed < view_.timing().stuck_wait) return false;
    return std::all_of(plan.members.begin(), plan.members.end(), [&](const Participant& member) {
      const WorkerRecord* record = view_.slot_of(member.worker);
      return record != nullptr && record->id == member.worker && record->state == WorkerState::kWaiting;
    });
  }

  void bring_help() {
    const Plan& plan = job_.plan->value;
    const Newcomers found = newcomers();
    std::vector<NodeId> new_agents;
    for (const NodeId& node : agents()) {
      const auto on_node = [&](const auto& p) { return p.worker.node == node; };
      const bool asked = std::any_of(plan.members.begin(), plan.members.end(), on_node) || std::any_of(plan.donors.begin(), plan.donors.end(), on_node) ||
                         std::any_of(plan.snapshot_donors.begin(), plan.snapshot_donors.end(), [&](const SnapshotDonor& d) { return d.node == node; });
      if (!asked) new_agents.push_back(node);
    }
    const bool checkpoint = !job_.checkpoints.empty() && plan.checkpoint_step != job_.checkpoints.rbegin()->first;
    const WorkerRecord* first = view_.slot_of(plan.members.front().worker);
    say("waiting", "the members wait for a complete source of state: " + (first != nullptr ? first->text : std::string()));
    if (found.ready.empty() && new_agents.empty() && !checkpoint) {
      memory_.first_help.reset();
      return;
    }
    if (!memory_.first_help) memory_.first_help = now_.at;
    if (now_.at - *memory_.first_help < view_.timing().join_batch) return;
    PlanDraft draft;
    draft.members = plan.members;
    draft.members.insert(draft.members.end(), found.ready.begin(), found.ready.end());
    draft.donors = plan.donors;
    draft.snapshot_nodes = agents();
    draft.previous = &plan;
    draft.cause = "join";
    draft.reason = "the members lack state that " + count(found.ready.size(), "newcomer") + ", " + count(new_agents.size(), "agent") +
                   (checkpoint ? " or a newer checkpoint" : "") + " may have";
    publish(draft);
  }

  // ---- better at a step boundary -----------------------------------------------------------------------------------------------------------

  void improve() {
    const Plan& plan = job_.plan->value;
    const Newcomers found = newcomers();
    PlanDraft draft;
    draft.when = When::kBoundary;
    draft.previous = &plan;
    std::set<NodeId> left;
    std::string causes;
    for (const Participant& member : plan.members) {
      if (roster_.leaving.contains(member.worker.node)) {
        draft.donors.push_back(member);
        left.insert(member.worker.node);
      } else {
        draft.members.push_back(member);
      }
    }
    draft.members.insert(draft.members.end(), found.warm.begin(), found.warm.end());
    say("training", count(plan.members.size(), "worker") + " on " + count(num_nodes(plan.members), "node") + " in " +
                        count(plan.placement.groups.size(), "group"));

    if (!found.warm.empty() && !memory_.first_joiner) memory_.first_joiner = now_.at;
    if (found.warm.empty()) memory_.first_joiner.reset();
    if (!draft.donors.empty()) {
      if (num_nodes(draft.members) < static_cast<std::size_t>(spec_.elastic.min_nodes)) {
        note("nodes that shall leave stay for now: " + count(num_nodes(draft.members), "node") + " would remain, the job needs at least " +
             std::to_string(spec_.elastic.min_nodes));
      } else {
        const std::string& why = roster_.leaving.at(*left.begin());
        draft.cause = why.starts_with("the job is to have") ? "scale" : "drain";
        draft.reason = count(left.size(), "node") + " leave" + (left.size() == 1 ? "s (" : " (") + left.begin()->value + ": " + why + ")" +
                       (found.warm.empty() ? "" : ", " + count(found.warm.size(), "worker") + " join" + (found.warm.size() == 1 ? "s" : ""));
        return publish_improvement(draft);
      }
    }
    if (!found.warm.empty()) {
      if (found.on_the_way > 0 && now_.at - *memory_.first_joiner < view_.timing().join_batch) return;
      if (!draft.donors.empty()) {  // those who shall leave cannot yet: they stay members
        draft.members.insert(draft.members.end(), draft.donors.begin(), draft.donors.end());
        draft.donors.clear();
      }
      draft.cause = "join";
      draft.reason = count(found.warm.size(), "worker") + (found.warm.size() == 1 ? " joins (" : " join (") + to_string(found.warm.front().worker) +
                     (found.warm.size() == 1 ? ")" : ", ...)");
      return publish_improvement(draft);
    }
    restore_balance(found);
    if (!decision_.plan) move_by_load(found);
  }

  // What a plan made in a hurry left undone. What experts' loads alone would change waits for move_by_load.
  void restore_balance(const Newcomers& found) {
    const Plan& plan = job_.plan->value;
    if (!made_in_a_hurry(plan) || memory_.balance_checked) return;
    if (found.on_the_way > 0 && now_.at - job_.in_force_since < view_.timing().rebalance_wait) return;
    memory_.balance_checked = true;
    PlanDraft draft;
    draft.when = When::kBoundary;
    draft.previous = &plan;
    draft.members = plan.members;
    draft.cause = "balance";
    draft.reason = "redundancy and balance are restored among " + count(plan.members.size(), "worker");
    draft.by_load = false;
    const auto by_count = make_plan(view_, job_, draft, now_);
    if (!by_count || by_count->plan.placement == plan.placement) return;
    draft.by_load = true;
    publish_improvement(draft);
  }

  void move_by_load(const Newcomers& found) {
    const auto waits = 2 * view_.timing().load_wait;   // then who is on the way may never come
    if (found.on_the_way > 0 && now_.at - job_.in_force_since < waits) return;
    decision_.plan = rebalance(view_, job_, memory_.load, now_);
    if (decision_.plan) return say("regrouping", decision_.plan->reason);
    if (!memory_.load.finding.empty()) note(memory_.load.finding);
  }

  void publish_improvement(const PlanDraft& draft) {
    const Decision before = decision_;
    publish(draft);
    if (decision_.plan) return;
    const std::string problem = decision_.reason;
    decision_ = before;  // training goes on as it is
    note(problem);
  }

  const ClusterView& view_;
  const JobView& job_;
  JobMemory& memory_;
  const Now& now_;
  const JobSpec& spec_;
  Roster roster_;
  Decision decision_;
  std::optional<Plan> parent_;
};

}  // namespace

Decision decide(const ClusterView& view, const JobView& job, JobMemory& memory, const Now& now) {
  return Deciding(view, job, memory, now).run();
}

}  // namespace regroup
