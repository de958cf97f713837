// worker_regroup.cpp: how a worker goes into a plan's epoch and is ready to train. Part of Worker (worker.hpp).
#include "base/log.hpp"
#include "base/now.hpp"
#include "checkpoint/io/owner.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/worker/initial_digest.hpp"
#include "moe/worker/worker.hpp"

#include <algorithm>
#include <chrono>
#include <set>

namespace regroup {

void Worker::enter(const Plan& plan) {
  const auto start = Clock::now();
  report_ = {};
  report_.epoch = plan.epoch;
  report_.cause = plan.cause;
  report_.members = static_cast<int>(plan.members.size());
  report_.stop_ms = std::max(0.0, ms_between(link_.planned_at(), start));
  report_.plan_seen_at_ms = wall_ms() - static_cast<std::int64_t>(report_.stop_ms);
  std::vector<mesh::Peer> peers;
  for (const Participant& member : plan.members) peers.push_back({member.worker, member.address});
  for (const Participant& donor : plan.donors) peers.push_back({donor.worker, donor.address});
  std::set<WorkerId> participants;
  for (const mesh::Peer& peer : peers) participants.insert(peer.id);
  link_.state(WorkerState::kReady, "regroups into epoch " + std::to_string(plan.epoch.value));
  link_.entered(plan.epoch, participants);
  must(mesh_->enter(plan.epoch, peers, std::chrono::milliseconds(job_.spec.heartbeat_ms) * 50));
  // Transfers of the older epoch may touch the old attempt's buffers until here.
  if (attempt_) attempt_->keep_moved();
  attempt_.reset();
  entering_ = std::make_unique<Epochal>(EpochView(job_, plan, *rank_in(plan, welcome_.self)));
  report_.agree_ms = ms_between(start, Clock::now());
  attempt_ = std::make_unique<RegroupAttempt>(*mesh_, entering_->view, state_,
                                              current_ && current_->runner ? current_->runner->prepared() : Prepared{},
                                              [this, epoch = plan.epoch] { interrupt_if_stopped(epoch); });
  attempt_->fingerprint = fingerprint_;
  attempt_->run();
  const StateSource source = attempt_->settlement.source.value();
  report_from(*attempt_);
  adopt(*attempt_);
  attempt_.reset();
  if (!current_->view.is_donor()) return start_training(source);
  link_.count_on({});
  state_.live.reset();
  log::info("state_given_away", {{"epoch", plan.epoch.value}});
}

void Worker::report_from(const RegroupAttempt& attempt) {
  report_.step = attempt.settlement.step;
  report_.source = attempt.settlement.source.value();
  report_.reason = attempt.settlement.reason;
  report_.agree_ms += attempt.agree_ms;
  report_.move_ms = attempt.move_ms;
  report_.bytes_moved = attempt.bytes_received;
  report_.bytes_from_own_agent = attempt.bytes_from_own_agent;
  const std::int64_t reached = std::max(committed_, attempt.damaged.newest().value);
  report_.steps_lost = std::max<std::int64_t>(0, reached - attempt.settlement.step.value);
}

void Worker::adopt(RegroupAttempt& attempt) {
  snapshots_.finish_copy();  // it reads the old store
  current_.reset();          // it refers to the old store
  state_.store = std::move(attempt.store);
  state_.moved.clear();
  state_.live = attempt.settlement.step;
  state_.bad = attempt.bad;
  const bool news = attempt.validation != state_.validation;
  state_.validation = attempt.validation;
  if (news) tell_validation(0);  // the member that computed it may have died before its agent reported it
  if (attempt.record) state_.record = attempt.record;
  current_ = std::move(entering_);
  pool_.clear();
}

// Another run of the name that writes there still, with another etcd, is refused at its next save.
void Worker::own_checkpoints() {
  const std::string& root = job_.spec.snapshots.checkpoint_dir;
  if (root.empty() || current_->view.self.value != 0) return;
  const auto before = checkpoint::own(root, job_.spec.name, checkpoint::owner_id(job_.spec.secret));
  const std::string said = before ? *before : before.error().context;
  if (!said.empty()) log::warn("checkpoints_owned", {{"directory", root}, {"reason", said}});
}

void Worker::start_training(StateSource source) {
  const Plan& plan = current_->view.plan;
  current_->runner = std::make_unique<StepRunner>(current_->view, *mesh_, state_.store, *data_.training,
                                                  data_.validation.get(), pool_, hooks(), state_.bad);
  if (source == StateSource::kFresh) {
    try {
      check_initial_weights(*current_->runner, current_->view, *mesh_);
    } catch (const WrongFiles&) {
      link_.send(WeightsRefused{});
      throw;
    } catch (const Interrupted&) {
      current_->runner.reset();  // wrong weights are no state that the next plan may build on
      state_ = {};
      throw;
    }
  }
  if (source == StateSource::kFresh || source == StateSource::kCheckpoint) own_checkpoints();
  snapshots_.enter(current_->view, state_.store);
  report_open_ = true;
  settled_at_ = Clock::now();
  std::set<WorkerId> members;
  for (const Participant& member : plan.members) members.insert(member.worker);
  link_.count_on(members);
  link_.state(WorkerState::kTraining);
  log::info("regrouped", {{"epoch", plan.epoch.value},
                          {"cause", to_string(plan.cause)},
                          {"step", report_.step.value},
                          {"source", to_string(report_.source)},
                          {"reason", report_.reason},
                          {"agree_ms", report_.agree_ms},
                          {"move_ms", report_.move_ms},
                          {"bytes", report_.bytes_moved}});
}

}  // namespace regroup
