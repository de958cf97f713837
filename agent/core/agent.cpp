#include "agent/core/agent.hpp"

#include <algorithm>
#include <utility>

namespace regroup::agent {
namespace {

bool holds(const std::vector<Participant>& participants, const WorkerId& worker) {
  return std::any_of(participants.begin(), participants.end(),
                     [&](const Participant& p) { return p.worker == worker; });
}
bool counts_on(const Plan& plan, const WorkerId& worker) {
  return holds(plan.members, worker) || holds(plan.donors, worker);
}

}  // namespace

Agent::Agent(NodeFacts facts) : facts_(std::move(facts)), keys_(facts_.cluster) {
  for (int i = 0; i < facts_.slots; ++i) slots_.push_back(Slot{.index = i});
}

std::vector<Action> Agent::step(const Now& now, const Event& event) {
  now_ = now;
  next_look_ = Instant::max();
  actions_.clear();
  if (quit_) return {};
  std::visit([this](const auto& e) { on(e); }, event);
  do_due();
  start_due();
  write_own_suspicions();
  write_node();
  return std::move(actions_);
}

bool Agent::past(Instant at) {
  if (now_.at >= at) return true;
  next_look_ = std::min(next_look_, at);
  return false;
}

Slot* Agent::slot_of(const WorkerId& worker) {
  for (Slot& slot : slots_) {
    if (slot.running && slot.worker.id == worker) return &slot;
  }
  return nullptr;
}

bool Agent::idle() const {
  return std::none_of(slots_.begin(), slots_.end(),
                      [](const Slot& slot) { return slot.running && slot.worker.state != WorkerState::kFinished; });
}

// The coordinator lets go of a node that leaves when the plan that names it is in force, or a newer one is that does
// not.
bool Agent::is_counted_on() const {
  const bool done = std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return slot.running && slot.worker.state == WorkerState::kFinished;
  });
  return plan_ && !done && following_ == assigned_ && names_node(*plan_, facts_.node);
}

// ---- what etcd says ----

void Agent::on(const Assigned& event) {
  assigned_ = event.job;
  if (following_ != assigned_ && !following_.empty())
    leave_job(assigned_.empty() ? "the node is free again" : "the node works for job " + assigned_ + " now");
  asked_to_end_ = event;
  end_as_asked();
}

// Plan and assignment come by two watches, in either order.
void Agent::end_as_asked() {
  const auto& [job, worker, epoch] = asked_to_end_;
  Slot* slot = worker && plan_ && plan_->epoch == epoch ? slot_of(*worker) : nullptr;
  if (slot == nullptr || slot->worker.state == WorkerState::kFinished) return;
  act(KillWorker{slot->worker.id, "the members of epoch " + std::to_string(epoch.value) +
                                      " cannot go on with it, nor without its node: another takes its place"});
}

void Agent::on(const JobKnown& event) {
  if (event.job.name != following_ || job_ == event.job) return;
  job_ = event.job;
  act(WorkFor{job_});
  if (early_plan_) on(PlanKnown{*std::exchange(early_plan_, std::nullopt)});
}

void Agent::on(const PlanKnown& event) {
  const Plan& plan = event.plan;
  if (plan.job != following_ || (plan_ && plan.epoch <= plan_->epoch)) return;
  if (!job_) {
    early_plan_ = plan;
    return;
  }
  if (const auto violations = check_plan(plan, *job_); !violations.empty())
    return act(Refused{"plan " + std::to_string(plan.epoch.value) + ": " + violations.front()});
  if (plan_) {
    const bool node_gone = std::any_of(plan_->members.begin(), plan_->members.end(),
                                       [&](const Participant& p) { return !names_node(plan, p.worker.node); });
    if (node_gone) act(CancelSaves{plan.epoch});
  }
  plan_ = plan;
  std::erase_if(exits_, [&](const Suspicion& exit) { return !counts_on(plan, exit.whom); });
  for (Slot& slot : slots_) {
    if (!slot.running) continue;
    if (counts_on(plan, slot.worker.id)) {
      slot.part_of = plan.epoch;
    } else if (slot.part_of > Epoch(0)) {
      slot.asked_to_end = true;
      act(KillWorker{slot.worker.id,
                     "epoch " + std::to_string(plan.epoch.value) + " goes on without it: " + plan.reason});
      continue;
    }
    tell_plan(slot);
    // The buddy may be another one now, or none may be needed.
    if (slot.unsafe && slot.part_of == plan.epoch) take(slot);
  }
  end_as_asked();
}

void Agent::tell_plan(Slot& slot) {
  if (!plan_ || slot.worker.address.empty()) return;
  if (slot.part_of == plan_->epoch) {
    act(Tell{slot.worker.id, NewPlan{*plan_}});
  } else if (slot.dialled != plan_->epoch) {
    slot.dialled = plan_->epoch;
    act(Tell{slot.worker.id, DialPeers{plan_->epoch, plan_->members}});
  }
}

// ---- workers ----

void Agent::start_due() {
  if (following_.empty() && !assigned_.empty() && !draining_since_) {
    following_ = assigned_;
    act(FollowJob{following_});
  }
  if (!job_ || following_ != assigned_ || draining_since_) return;
  for (Slot& slot : slots_) {
    if (slot.running || !past(slot.not_before)) continue;
    slot.running = true;
    slot.commits = 0;
    has_spare_ = false;
    slot.asked_to_end = false;
    slot.kill_at.reset();
    slot.part_of = slot.dialled = Epoch(0);
    slot.unsafe.reset();
    slot.offer_again_at.reset();
    slot.saved.reset();
    slot.worker = WorkerRecord{{facts_.node, facts_.incarnation, slot.index, slot.starts++}, job_->name};
    std::string settings;
    for (const std::string& setting : facts_.worker_settings) settings += " " + setting;
    act(StartWorker{slot.worker.id, *job_, plan_ ? plan_->epoch : Epoch(0), slot.storage_proven, slot.weights_doubted,
                    settings});
  }
}

void Agent::leave_job(const std::string& reason) {
  bool running = false;
  for (Slot& slot : slots_) {
    if (!slot.running) continue;
    running = true;
    if (slot.kill_at) continue;
    slot.asked_to_end = true;
    slot.kill_at = now_.at + facts_.stop_grace;
    act(Tell{slot.worker.id, StopWorker{reason}});
  }
  if (running) return;
  for (Slot& slot : slots_) {
    slot.worker = {};
    slot.failures = 0;
    slot.storage_proven = slot.weights_doubted = false;
    slot.not_before = {};
  }
  following_.clear();
  job_.reset();
  plan_.reset();
  early_plan_.reset();
  exits_.clear();
  progress_ = {};
  progress_is_new_ = false;
  load_ = {};
  act(FollowJob{});
  act(WorkFor{});
}

void Agent::on(const WorkerEnded& event) {
  Slot* slot = slot_of(event.worker);
  if (slot == nullptr) return;
  slot->running = false;
  act(EraseLeased{keys_.suspect(suspect_name(event.worker))});
  if (!slot->asked_to_end || slot->worker.state == WorkerState::kFailed) ++slot->failures;
  slot->not_before = now_.at + restart_delay(slot->failures);
  if (!slot->asked_to_end) {
    if (plan_ && counts_on(*plan_, event.worker) && slot->worker.state != WorkerState::kFinished)
      exits_.push_back({event.worker, Evidence::kExit, now_.wall_ms});
  }
  if (!event.why.empty() && !slot->asked_to_end) {
    slot->worker.state = WorkerState::kFailed;
    slot->worker.text = "it cannot start: " + event.why;
  }
  // A fault's text stays visible until the next start; of another end the record goes.
  if (slot->worker.state != WorkerState::kFailed) slot->worker = {};
  if (following_ != assigned_) leave_job("");
}

// ---- going ----

void Agent::on(const Terminate&) {
  if (draining_since_) {
    quit_ = true;
    return act(Quit{"asked twice"});
  }
  draining_since_ = now_.at;
  act(PutLeased{keys_.notice(facts_.node),
                to_json(NoticeRecord{facts_.node, NoticeKind::kDrain, now_.wall_ms + facts_.drain_limit.count()})});
  quit_when_drained(0);
}

void Agent::quit_when_drained(int saves_under_way) {
  if (!draining_since_) return;
  const bool limit = past(*draining_since_ + facts_.drain_limit);
  if (!limit && (!idle() || saves_under_way > 0 || is_counted_on())) return;
  quit_ = true;
  act(Quit{limit ? "nobody let the node go within the limit" : "drained"});
}

void Agent::on(const Tick& event) { quit_when_drained(event.saves_under_way); }

void Agent::do_due() {
  for (Slot& slot : slots_) {
    if (!slot.running) continue;
    if (slot.kill_at && past(*slot.kill_at)) {
      slot.kill_at.reset();
      act(KillWorker{slot.worker.id, "it did not stop when asked"});
    }
    if (slot.offer_again_at && past(*slot.offer_again_at)) take(slot);
  }
  if (progress_is_new_ && past(progress_written_ + facts_.progress_every)) write_progress();
}

}  // namespace regroup::agent
