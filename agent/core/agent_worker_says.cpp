// Agent, second part: what a worker's messages change in its slot and in the job's progress; its snapshots.
#include "agent/core/agent.hpp"
#include "api/buddy.hpp"

#include <algorithm>

namespace regroup::agent {
namespace {

constexpr int kSpareAfterCommits = 2;
// A worker that dies right after each of its first commits costs the others a regroup every time: it backs off.
constexpr int kForgivenAfterCommits = 100;
constexpr Span kForgivenAfter{60'000};

}  // namespace

void Agent::say(ProgressState state, const std::string& reason) {
  progress_.state = state;
  progress_.reason = reason;
}

void Agent::on(const WorkerSays& event) {
  Slot* slot = slot_of(event.worker);
  if (slot == nullptr) return;  // killed meanwhile
  std::visit([&](const auto& message) { said(*slot, message); }, event.message);
}

void Agent::said(Slot& slot, const Hello& message) {
  slot.worker.address = message.address;
  slot.worker.fingerprint = message.fingerprint;
}

void Agent::said(Slot& slot, const StateChanged& message) {
  const bool was_ready = slot.worker.state != WorkerState::kStarting;
  // it has nothing left to wait for
  if (slot.worker.state == WorkerState::kFinished && message.state == WorkerState::kWaiting) return;
  slot.worker.state = message.state;
  slot.worker.epoch = message.epoch;
  slot.worker.text = message.text;
  slot.worker.lacks = message.lacks;
  if (message.state == WorkerState::kReady) slot.storage_proven = true;
  if (message.state == WorkerState::kFailed) {
    act(KillWorker{slot.worker.id, "it cannot start: " + message.text});
  } else if (!was_ready) {
    tell_plan(slot);
  }
  if (message.state == WorkerState::kWaiting && slot.part_of > Epoch(0)) {
    say(ProgressState::kWaiting, message.text);
    progress_is_new_ = true;
  }
}

void Agent::said(Slot& slot, const Suspects& message) {
  act(PutLeased{keys_.suspect(suspect_name(slot.worker.id)),
                to_json(SuspectRecord{suspect_name(slot.worker.id), message.epoch, message.suspicions})});
}

void Agent::said(Slot& slot, const Committed& message) {
  const CommitReport& report = message.report;
  slot.weights_doubted = false;
  if (slot.commits == 0) slot.first_commit = now_.at;
  ++slot.commits;
  if (slot.commits >= kForgivenAfterCommits || now_.at - slot.first_commit >= kForgivenAfter) slot.failures = 0;
  // Not during the first steps, in which everybody waits for a core.
  if (slot.commits >= kSpareAfterCommits && facts_.keeps_spare && !has_spare_) {
    has_spare_ = true;
    act(KeepSpare{});
  }
  // That an epoch has committed tells the coordinator that it is in force: no second is lost on that.
  const bool at_once = report.epoch > progress_.epoch;
  progress_.epoch = report.epoch;
  progress_.step = report.step;
  progress_.loss = report.loss;
  progress_.bad = report.bad;
  progress_.tokens_per_second = report.seconds > 0 ? static_cast<double>(report.tokens) / report.seconds : 0;
  say(ProgressState::kTraining);
  progress_is_new_ = true;
  if (at_once || past(progress_written_ + facts_.progress_every)) write_progress();
  if (plan_ && plan_->epoch == report.epoch && plan_->members.front().worker == slot.worker.id) {
    load_.add(report);
    write_load();
  }
}

void Agent::said(Slot&, const Regrouped&) {}  // counted and journalled by the shell

void Agent::said(Slot& slot, const NeedArena& message) {
  act(GrantArena{slot.worker.id, message.slots, message.bytes});
}

void Agent::said(Slot& slot, const SnapshotTaken& message) {
  slot.unsafe = message;
  if (message.info.safe > progress_.safe) {
    progress_.safe = message.info.safe;
    progress_is_new_ = true;
  }
  take(slot);
  // Written once, whatever becomes of the copy at the buddy.
  slot.unsafe->make_durable = false;
}

void Agent::take(Slot& slot) {
  slot.offer_again_at.reset();
  // One checkpoint has one fingerprint; where the members' may differ, none of theirs is it.
  const std::string fingerprint = job_ && job_->allow_mixed_fingerprints ? "mixed" : slot.worker.fingerprint;
  act(TakeSnapshot{slot.worker.id, *slot.unsafe, plan_ ? buddy_of(*plan_, slot.worker.id) : "", fingerprint});
}

void Agent::on(const SnapshotKept& event) {
  Slot* slot = slot_of(event.worker);
  if (slot == nullptr) return;
  const bool newest = slot->unsafe && slot->unsafe->info.step == event.step && slot->unsafe->info.epoch == event.epoch;
  act(Tell{event.worker,
           SnapshotAnswer{event.step, event.epoch, event.problem.empty() ? SnapshotNews::kSafe : SnapshotNews::kKept}});
  if (!newest) return;
  if (event.problem.empty()) {
    slot->unsafe.reset();
    slot->offer_again_at.reset();
  } else {
    slot->offer_again_at = now_.at + facts_.snapshot_retry;
  }
}

void Agent::on(const CheckpointSaved& event) {
  if (event.committed && event.problem.empty() && job_) {
    act(PutLasting{keys_.checkpoint(job_->name, event.step),
                   to_json(CheckpointRecord{event.step, event.epoch, event.directory, event.bytes})});
  }
  progress_.save_problem =
      event.problem.empty() ? "" : "after step " + std::to_string(event.step.value) + ": " + event.problem;
  progress_is_new_ = true;
  Slot* slot = slot_of(event.worker);
  if (slot == nullptr) return;
  if (!slot->saved || slot->saved->step <= event.step) slot->saved = event;  // a later save may fail sooner
  act(Tell{event.worker, SnapshotAnswer{event.step, event.epoch, SnapshotNews::kSaveEnded}});
}

std::string Agent::why_not_saved(const Slot& slot, Step step) {
  if (!slot.saved || slot.saved->step != step) return "there was no memory for its copy";
  if (slot.saved->committed) return {};
  return slot.saved->problem.empty() ? "its checkpoint was not committed" : slot.saved->problem;
}

void Agent::said(Slot& slot, const Finished& message) {
  slot.worker.state = WorkerState::kFinished;
  if (message.weights_sha256.empty()) return;
  progress_.epoch = std::max(progress_.epoch, slot.part_of);
  progress_.step = message.step;
  const bool nothing_due = message.is_saved || !job_ || job_->snapshots.checkpoint_dir.empty();
  say(ProgressState::kFinished, nothing_due ? std::string() : why_not_saved(slot, message.step));
  progress_.weights_sha256 = message.weights_sha256;
  write_progress();
}

void Agent::said(Slot&, const Validated& message) {
  progress_.validation_step = message.step;
  progress_.validation_loss = message.loss;
  progress_is_new_ = true;
}

void Agent::said(Slot& slot, const GaveUp& message) {
  slot.worker.state = WorkerState::kFinished;
  progress_.epoch = std::max(progress_.epoch, slot.part_of);
  progress_.step = message.step;
  say(ProgressState::kFailed, message.reason);
  write_progress();
}

void Agent::said(Slot& slot, const Stopped& message) {
  slot.worker.state = WorkerState::kFinished;
  progress_.epoch = message.epoch;
  progress_.step = message.step;
  say(ProgressState::kStopped, why_not_saved(slot, message.step));
  write_progress();
}

void Agent::said(Slot& slot, const WeightsRefused&) { slot.weights_doubted = true; }

// Whether it has to go is for the coordinator to decide: it hears it from the worker's suspicions.
void Agent::said(Slot& slot, const Fault& message) { slot.worker.text = message.text; }

}  // namespace regroup::agent
