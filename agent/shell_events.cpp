// What the loop of shell.cpp does around the core: notes each event, performs each action.
#include "agent/account.hpp"
#include "agent/shell.hpp"
#include "base/log.hpp"

namespace regroup::agent {

// Journal and counters: what happened, before anything is decided about it.
void AgentShell::observe(const Event& event) {
  const std::int64_t wall_ms = read_clocks().wall_ms;
  const JobSpec* job = core_.job() ? &*core_.job() : nullptr;
  const Plan* plan = core_.plan() ? &*core_.plan() : nullptr;
  if (const auto* says = std::get_if<WorkerSays>(&event)) {
    journal_.said(says->worker, says->message);
    counters_.change([&](auto& c) { account(c, job, plan, says->message, wall_ms); });
  } else if (const auto* kept = std::get_if<SnapshotKept>(&event)) {
    journal_.kept(*kept);
    counters_.change([&](auto& c) { account(c, *kept, wall_ms); });
    if (!kept->problem.empty())
      log::warn("snapshot_not_safe", {{"step", kept->step.value}, {"buddy", kept->buddy}, {"reason", kept->problem}});
  } else if (const auto* saved = std::get_if<CheckpointSaved>(&event)) {
    journal_.saved(*saved);
    counters_.change([&](auto& c) { account(c, *saved, wall_ms); });
    if (!saved->problem.empty())
      log::error("checkpoint_failed",
                 {{"step", saved->step.value}, {"reason", saved->problem}, {"note", "training goes on"}});
  } else if (const auto* ended = std::get_if<WorkerEnded>(&event)) {
    bool asked = true;
    std::string text;
    for (const Slot& slot : core_.slots()) {
      if (!slot.running || slot.worker.id != ended->worker) continue;
      asked = slot.asked_to_end;
      text = slot.worker.text;
    }
    if (text.empty()) text = ended->why;
    journal_.ended(ended->worker, ended->signal, ended->status, asked, text);
    log::info(
        "worker_ended",
        {{"worker", to_string(ended->worker)}, {"signal", ended->signal}, {"status", ended->status}, {"asked", asked}});
    if (!asked)
      counters_.change([](auto& c) {
        ++c.worker_failures;
        ++c.suspicions[Evidence::kExit];  // the agent's own evidence; workers report the others
      });
    workers_.forget(ended->worker);
  } else if (const auto* planned = std::get_if<PlanKnown>(&event)) {
    journal_.plan(planned->plan);
    log::info("plan_seen", {{"epoch", planned->plan.epoch.value},
                            {"cause", to_string(planned->plan.cause)},
                            {"members", planned->plan.members.size()},
                            {"reason", planned->plan.reason}});
  } else if (std::holds_alternative<Terminate>(event)) {
    log::info("asked_to_go", {{"draining_already", core_.draining()}});
  }
}

void AgentShell::perform(const Action& action) {
  std::visit([this](const auto& one) REGROUP_REQUIRES(core_mutex_) { do_one(one); }, action);
}

void AgentShell::do_one(const FollowJob& action) {
  log::info("follows_job", {{"job", action.job}});
  counters_.change([&](auto& c) { follow(c, action.job); });
  watches_->follow(action.job);
}

void AgentShell::do_one(const WorkFor& action) {
  if (action.job) {
    keeper_->work_for(*action.job);
  } else {
    keeper_->work_for_none();
  }
}

void AgentShell::do_one(const StartWorker& action) {
  const auto pid = workers_.start(action);
  counters_.change([](auto& c) { ++c.worker_starts; });
  if (!pid) {
    log::error("worker_not_started", {{"reason", to_string(pid.error())}});
    return inbox_.post(WorkerEnded{action.worker, 0, 127, pid.error().context});
  }
  journal_.started(action.worker, *pid);
  log::info("worker_started", {{"worker", to_string(action.worker)}, {"pid", *pid}});
}

void AgentShell::do_one(const KeepSpare&) {
  const auto pid = workers_.start_spare();
  if (!pid)
    return log::warn("no_spare", {{"reason", to_string(pid.error())}, {"note", "the next worker starts more slowly"}});
  log::info("spare_started", {{"pid", *pid}});
}

void AgentShell::do_one(const KillWorker& action) {
  log::info("worker_killed", {{"worker", to_string(action.worker)}, {"reason", action.reason}});
  if (const auto found = workers_.find(action.worker)) found->kill();
}

void AgentShell::do_one(const Tell& action) {
  if (const auto found = workers_.find(action.worker)) found->tell(action.message);
}

void AgentShell::do_one(const GrantArena& action) {
  const auto found = workers_.find(action.worker);
  if (!found) return;
  granting_->post([this, action, worker = found] {
    auto slots = keeper_->grant(action.worker, action.slots, action.bytes);
    if (!slots) {
      log::error("no_memory_for_snapshots", {{"bytes", action.bytes},
                                             {"slots", action.slots},
                                             {"reason", to_string(slots.error())},
                                             {"note", "the worker goes on without"}});
      return worker->tell(ArenaGrant{-1, action.bytes});
    }
    for (std::size_t i = 0; i < slots->size(); ++i)
      worker->tell(ArenaGrant{static_cast<int>(i), action.bytes}, (*slots)[i]);
  });
}

void AgentShell::do_one(const TakeSnapshot& action) {
  keeper_->take({action.worker, action.taken, action.buddy, action.fingerprint});
}
void AgentShell::do_one(const CancelSaves& action) { keeper_->cancel_saves_before(action.before); }
void AgentShell::do_one(const PutLeased& action) { records_->put_leased(action.key, action.value); }
void AgentShell::do_one(const EraseLeased& action) { records_->erase_leased(action.key); }
void AgentShell::do_one(const PutLasting& action) { records_->put_lasting(action.key, action.value); }

void AgentShell::do_one(const Refused& action) {
  log::error("plan_refused", {{"reason", action.text}});
  journal_.refused(action.text);
}

void AgentShell::do_one(const Quit& action) {
  log::info("agent_quits", {{"reason", action.reason}});
  journal_.quits(action.reason);
  quit_ = true;
}

}  // namespace regroup::agent
