#include "moe/worker/worker.hpp"

#include "base/log.hpp"
#include "base/now.hpp"
#include "moe/ops/machine.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"
#include "moe/worker/hang_limit.hpp"
#include "moe/worker/job_files.hpp"
#include "moe/worker/source_watch.hpp"

#include <algorithm>
#include <chrono>

namespace regroup {

Worker::Worker(AgentLink& link, Welcome welcome)
    : link_(link),
      welcome_(std::move(welcome)),
      job_(welcome_.job),
      trace_(welcome_.job.profile, welcome_.profile_file, welcome_.self),
      snapshots_(link_, job_) {}

Result<void> Worker::prepare() {
  const JobSpec& spec = job_.spec;
  if (auto good = check_files(welcome_); !good) return good;
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
  fingerprint_ = ops::fingerprint(dims) + welcome_.settings;
  link_.send(Hello{mesh_->address(), static_cast<int>(getpid()), fingerprint_});
  link_.state(WorkerState::kReady);
  return {};
}

Result<void> Worker::run() {
  AgentLink::Want want{"the first plan"};
  SourceWatch sources(job_.spec, fingerprint_);
  for (;;) {
    mesh_->set_progress(0);  // a wait for a plan, or for the agent, is no hang
    const Plan plan = link_.wait_for_plan(tried_, want, [&] { return sources.may_be_there(); });
    tried_ = plan.epoch;
    if (!rank_in(plan, welcome_.self)) {
      want = {"a plan with this worker in it; epoch " + std::to_string(plan.epoch.value) + " goes without"};
      continue;
    }
    try {
      enter(plan);
      sources.forget();
      train();
      want = {"the next plan", true};  // done with this one: once more would not help, such as a donor
      // At a boundary the newer plan is there already; at the end of the job the agent stops this process.
    } catch (const WrongFiles& wrong) {
      return wrong.error;
    } catch (const Interrupted& interrupted) {
      want = {"a newer plan than epoch " + std::to_string(plan.epoch.value) + ": " + interrupted.error.context,
              interrupted.error.code == Code::kUnavailable};
      if (want.lacks) sources.lacked();
      log::info("interrupted", {{"epoch", plan.epoch.value}, {"why", to_string(interrupted.error)}});
      // What a message may not be is no link's fault either: the same plan once more would fail in the same way.
      if (interrupted.error.code == Code::kInternal || interrupted.error.code == Code::kBadInput) {
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

void Worker::train() {
  if (current_->view.is_donor()) return;
  const JobSpec& spec = job_.spec;
  const bool was_done = state_.live->value >= spec.steps;
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
    report.phases[StepPhase::kSnapshot] = snapshots_.last_pause();
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
  // The last step's epoch may have ended before its checkpoint was written.
  const bool is_saved = was_done && report_.source == StateSource::kCheckpoint;
  if (was_done && !is_saved && !spec.snapshots.checkpoint_dir.empty())
    snapshots_.committed(*state_.live, state_.store, state_.bad, SnapshotVote::kNoneSafe, /*durable=*/true);
  finish(is_saved);
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

std::string Worker::not_finite() {
  const std::string mine = state_.store.not_finite(job_.units);
  // One is enough. The step's number names the digests' transfers, too, with other indices.
  for (const auto& said : must(all_gather_v(*mesh_, current_->view.member_ranks(),
                                            make_tag(Step(state_.live->value + 1), TransferOp::kGroupDigest, 2),
                                            std::as_bytes(std::span(mine.data(), mine.size())))))
    if (!said.empty()) return {reinterpret_cast<const char*>(said.data()), said.size()};
  return {};
}

void Worker::give_up() {
  snapshots_.finish_copy();
  const std::string broken = not_finite();
  wait_for_the_others();
  const std::int64_t last = state_.live->value, count = state_.bad.in_a_row;
  link_.send(GaveUp{*state_.live, "the gradients of " + std::to_string(count) + " steps in a row, " +
                                      std::to_string(last - count + 1) + " to " + std::to_string(last) +
                                      ", were not finite (max_bad_steps " + std::to_string(job_.spec.max_bad_steps) +
                                      "); the weights are those after step " + std::to_string(last - count) +
                                      (broken.empty() ? "" : ", and they are not finite themselves: " + broken)});
  link_.state(WorkerState::kFinished);
}

void Worker::finish(bool is_saved) {
  snapshots_.finish_copy();
  const std::string broken = not_finite();
  const std::vector<std::string> digests = current_->runner->weights_digest(*state_.live);
  wait_for_the_others();
  const auto other =
      std::find_if(digests.begin(), digests.end(), [&](const auto& one) { return one != digests.front(); });
  if (!broken.empty()) {
    link_.send(GaveUp{*state_.live, "all " + std::to_string(state_.live->value) +
                                        " steps are committed, but the weights are not finite: " + broken +
                                        "; a smaller learning_rate or a larger epsilon may help"});
  } else if (other != digests.end()) {
    link_.send(GaveUp{*state_.live, "members ended with different weights: group 0 with " + digests.front() +
                                        ", group " + std::to_string(other - digests.begin()) + " with " + *other});
  } else {
    // One says it: whose agent commits the checkpoint, and knows what became of it.
    const bool speaks = current_->view.group_index == 0 && current_->view.member == 0;
    link_.send(Finished{*state_.live, speaks ? digests.front() : std::string(), is_saved});
  }
  link_.state(WorkerState::kFinished);
}

}  // namespace regroup
