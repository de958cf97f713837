#include "moe/worker/worker.hpp"

#include "base/log.hpp"
#include "base/now.hpp"
#include "moe/ops/machine.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/worker/hang_limit.hpp"
#include "moe/worker/initial_digest.hpp"

#include <algorithm>
#include <chrono>
#include <set>

namespace regroup {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

Worker::Worker(AgentLink& link, Welcome welcome)
    : link_(link),
      welcome_(std::move(welcome)),
      job_(welcome_.job),
      trace_(welcome_.job.profile, welcome_.profile_file, welcome_.self),
      snapshots_(link_, job_) {}

Result<void> Worker::prepare() {
  const JobSpec& spec = job_.spec;
  auto data = open_job_data(spec);
  if (!data) return data.error();
  data_ = std::move(*data);
  mesh::Options options;
  options.self = welcome_.self;
  options.listen = welcome_.mesh_listen;
  options.secret = spec.secret;
  options.heartbeat = std::chrono::milliseconds(spec.heartbeat_ms);
  options.read_peer_memory = welcome_.peer_memory;
  mesh::Events events;
  events.on_lost = [this](const WorkerId& whom, Evidence evidence) { link_.peer_lost(whom, evidence); };
  events.on_connected = [this](const WorkerId& whom) { link_.peer_connected(whom); };
  auto mesh = mesh::Mesh::open(options, events);
  if (!mesh) return mesh.error();
  mesh_ = std::move(*mesh);
  link_.attach(mesh_.get());
  const ops::Dims dims{spec.model, spec.sequences_per_microbatch, spec.sequence_length, spec.precision};
  link_.send(Hello{mesh_->address(), static_cast<int>(getpid()), ops::fingerprint(dims)});
  link_.state(WorkerState::kReady);
  return {};
}

void Worker::run() {
  std::string waiting_for = "the first plan";
  for (;;) {
    mesh_->set_progress(0);  // a wait for a plan, or for the agent, is no hang
    const Plan plan = link_.wait_for_plan(tried_, waiting_for);
    tried_ = plan.epoch;
    if (!rank_in(plan, welcome_.self)) {
      waiting_for = "a plan with this worker in it; epoch " + std::to_string(plan.epoch.value) + " goes without";
      continue;
    }
    try {
      enter(plan);
      train();
      waiting_for = "the next plan";
      // At a boundary the newer plan is there already; at the end of the job the agent stops this process.
    } catch (const Interrupted& interrupted) {
      waiting_for = "a newer plan than epoch " + std::to_string(plan.epoch.value) + ": " + interrupted.error.context;
      log::info("interrupted", {{"epoch", plan.epoch.value}, {"why", to_string(interrupted.error)}});
      if (interrupted.error.code == Code::kInternal) {
        link_.send(Fault{interrupted.error.context});
        link_.peer_lost(welcome_.self, Evidence::kSelf);
      }
    }
  }
}

void Worker::interrupt_if_stopped(Epoch current) const {
  if (link_.must_stop(current)) throw Interrupted{{Code::kNewerEpoch, "a newer plan asks to stop at once"}};
}

StepHooks Worker::hooks() {
  StepHooks hooks;
  hooks.interrupt = [this, epoch = tried_] { interrupt_if_stopped(epoch); };
  hooks.planned = [this] { return link_.planned().value; };
  hooks.snapshot = [this] { return snapshots_.vote(); };
  hooks.saving = [this] { return link_.saving(); };
  hooks.before_update = [this] { snapshots_.finish_copy(); };
  hooks.trace = &trace_;
  return hooks;
}

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
  attempt_.reset();
  entering_ = std::make_unique<Epochal>(EpochView(job_, plan, *rank_in(plan, welcome_.self)));
  report_.agree_ms = ms_between(start, Clock::now());
  attempt_ = std::make_unique<RegroupAttempt>(*mesh_, entering_->view, state_,
                                              current_ && current_->runner ? current_->runner->prepared() : Prepared{},
                                              [this, epoch = plan.epoch] { interrupt_if_stopped(epoch); });
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
  report_.steps_lost = std::max<std::int64_t>(0, committed_ - attempt.settlement.step.value);
}

void Worker::adopt(RegroupAttempt& attempt) {
  snapshots_.finish_copy();  // it reads the old store
  current_.reset();          // it refers to the old store
  state_.store = std::move(attempt.store);
  state_.live = attempt.settlement.step;
  state_.bad = attempt.bad;
  const bool news = attempt.validation != state_.validation;
  state_.validation = attempt.validation;
  if (news) tell_validation(0);  // the member that computed it may have died before its agent reported it
  if (attempt.record) state_.record = attempt.record;
  current_ = std::move(entering_);
  pool_.clear();
}

void Worker::start_training(StateSource source) {
  const Plan& plan = current_->view.plan;
  current_->runner = std::make_unique<StepRunner>(current_->view, *mesh_, state_.store, *data_.training,
                                                  data_.validation.get(), pool_, hooks(), state_.bad);
  if (source == StateSource::kFresh) {
    try {
      check_initial_weights(*current_->runner, job_.spec);
    } catch (const Interrupted&) {
      current_->runner.reset();  // wrong weights are no state that the next plan may build on
      state_ = {};
      throw;
    }
  }
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

void Worker::train() {
  if (current_->view.is_donor()) return;
  const JobSpec& spec = job_.spec;
  // A job that is started again from the checkpoint with which it gave up gets one more step.
  if (state_.bad.in_a_row >= spec.max_bad_steps && report_.source != StateSource::kCheckpoint) return give_up();
  HangLimit hang_limit(spec.heartbeat_ms);
  for (;;) {
    validate();
    if (state_.live->value >= spec.steps) break;
    interrupt_if_stopped(tried_);
    const Step step(state_.live->value + 1);
    CommitReport report;
    const VoteRecord record = current_->runner->run(step, report);
    state_.live = step;
    state_.record = record;
    state_.bad = current_->runner->bad();
    committed_ = step.value;
    report.phases["snapshot"] = snapshots_.last_pause();
    if (current_->view.group_index >= 0)
      report.rank_load = heaviest_over_mean(current_->view.group(), spec.model, report.expert_load);
    if (report_open_) {
      report_.first_commit_ms = ms_since(settled_at_);
      link_.send(Regrouped{report_});
      report_open_ = false;
    }
    const bool gives_up = state_.bad.in_a_row >= spec.max_bad_steps;
    const Epoch planned(record.planned);
    const bool boundary = planned > current_->view.plan.epoch;  // every member has seen the newer plan
    const bool stops = boundary && link_.ends(planned);
    const bool last = step.value == spec.steps || gives_up;
    bool durable =
        !spec.snapshots.checkpoint_dir.empty() &&
        (last || stops ||
         (spec.snapshots.checkpoint_every_steps > 0 && step.value % spec.snapshots.checkpoint_every_steps == 0));
    // storage is slow: the members, who all know it, train on without this one
    if (durable && !last && !stops && record.saving > 0) {
      durable = false;
      report.checkpoint_left_out = true;
      log::warn("checkpoint_left_out", {{"step", step.value},
                                        {"reason", "an earlier one is still being written by " +
                                                       std::to_string(record.saving) + " of the members"}});
    }
    link_.send(Committed{report});
    mesh_->set_hang_limit(hang_limit.after_step(report.seconds));

    if (durable) mesh_->set_progress(0);
    snapshots_.committed(step, state_.store, state_.bad, record.snapshot, durable);
    if (gives_up) return give_up();
    if (!last && stops) return stop(planned);
    if (!last && boundary) return;
  }
  finish();
}

void Worker::validate() {
  const Step step = *state_.live;
  if (!job_.spec.validation.due(step.value, job_.spec.steps) || state_.validation.step >= step.value) return;
  const auto start = Clock::now();
  state_.validation = current_->runner->validate(step);
  tell_validation(seconds_since(start));
}

void Worker::tell_validation(double seconds) {
  link_.send(Validated{current_ ? current_->view.plan.epoch : Epoch(0), Step(state_.validation.step),
                       state_.validation.loss(), state_.validation.targets, seconds});
}

void Worker::wait_for_the_others() {
  mesh_->set_progress(0);
  link_.wait_durable();
  interrupt_if_stopped(tried_);
  link_.count_on({welcome_.self});  // the others may go as they are done
}

void Worker::stop(Epoch ended_by) {
  snapshots_.finish_copy();
  wait_for_the_others();
  if (current_->view.group_index == 0 && current_->view.member == 0) link_.send(Stopped{ended_by, *state_.live});
  link_.state(WorkerState::kFinished);
  tried_ = ended_by;
}

void Worker::give_up() {
  snapshots_.finish_copy();
  wait_for_the_others();
  const std::int64_t last = state_.live->value, count = state_.bad.in_a_row;
  link_.send(GaveUp{*state_.live, "the gradients of " + std::to_string(count) + " steps in a row, " +
                                      std::to_string(last - count + 1) + " to " + std::to_string(last) +
                                      ", were not finite (max_bad_steps " + std::to_string(job_.spec.max_bad_steps) +
                                      "); the weights are those after step " + std::to_string(last - count)});
  link_.state(WorkerState::kFinished);
}

void Worker::finish() {
  snapshots_.finish_copy();
  std::string digest = current_->runner->weights_digest(*state_.live);
  if (current_->view.self.value != 0) digest.clear();  // one says it
  wait_for_the_others();
  link_.send(Finished{*state_.live, digest});
  link_.state(WorkerState::kFinished);
}

}  // namespace regroup
