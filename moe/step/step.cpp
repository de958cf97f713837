#include "moe/step/step.hpp"

#include "base/log.hpp"
#include "base/now.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"
#include "moe/state/wire.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace regroup {

StepRunner::StepRunner(const EpochView& view, mesh::Mesh& mesh, ShardStore& store, const Dataset& data,
                       const Dataset* validation_data, FloatPool& pool, StepHooks hooks, const BadSteps& bad)
    : view_(view),
      mesh_(mesh),
      store_(store),
      data_(data),
      validation_data_(validation_data),
      hooks_(std::move(hooks)),
      bad_(bad),
      weights_digest_(view_, mesh_, store_) {
  if (view_.group_index < 0) return;
  gather_.emplace(view_, mesh_, store_, view_.job->forms, hooks_.trace);
  reduction_.emplace(view_, mesh_, store_, pool);
  experts_.emplace(
      view_, mesh_, store_, *reduction_, [this] { point(); }, hooks_.trace);
  model_.emplace(
      view_, *gather_, *experts_, *reduction_, [this] { point(); }, hooks_.trace);
}

void StepRunner::point() {
  mesh_.set_progress(++progress_);
  hooks_.interrupt();
}

VoteRecord StepRunner::run(Step step, CommitReport& report) {
  const TracedStep traced(hooks_.trace, view_.plan.epoch, step);
  step_ = step;
  voted_ = false;
  losses_.clear();
  const auto& shape = view_.job->shape();
  expert_load_.assign(static_cast<std::size_t>(shape.num_hidden_layers * shape.num_local_experts), 0);
  Stopwatch total, phase;
  if (gather_) {
    gather_->begin(step);
    reduction_->begin(step);
    experts_->begin_step(step);
    const int waves = view_.waves();
    for (int wave = 0; wave < waves; ++wave) run_wave(wave);
    if (hooks_.trace != nullptr) hooks_.trace->wave = hooks_.trace->microbatch = -1;
    const double compute = phase.lap();
    {
      const TracedSpan span(hooks_.trace, StepPhase::kReduce);
      reduction_->finish();
      gather_->end();
    }
    report.phases[StepPhase::kGather] = gather_->seconds_waited();
    report.phases[StepPhase::kDispatch] = experts_->seconds_waited();
    report.phases[StepPhase::kReduce] = reduction_->seconds_waited();
    report.phases[StepPhase::kCompute] = compute - gather_->seconds_waited() - experts_->seconds_waited();
    phase.lap();
  }
  const VoteRecord record = vote();
  report.phases[StepPhase::kVote] = phase.lap();
  update(record);
  report.phases[StepPhase::kUpdate] = phase.lap();
  const JobSpec& spec = view_.job->spec;
  report.epoch = view_.plan.epoch;
  report.step = step;
  report.loss = record.loss_sum / static_cast<double>(record.targets > 0 ? record.targets : 1);
  report.aux_loss = record.aux_sum / spec.microbatches;
  report.z_loss = record.z_sum / spec.microbatches;
  report.grad_norm = record.norm();
  report.bad = bad_;
  report.learning_rate = ops::learning_rate(spec.optimizer, step.value, schedule_end(spec));
  report.tokens = record.targets;
  report.expert_load = expert_load_;
  report.seconds = total.lap();
  return record;
}

void StepRunner::run_wave(int wave) {
  experts_->begin_wave(wave, view_.microbatches(wave));
  reduction_->begin_wave(wave);
  const int microbatch = view_.microbatch(wave, view_.member);
  if (hooks_.trace != nullptr) {
    hooks_.trace->wave = wave;
    hooks_.trace->microbatch = microbatch;
  }
  if (microbatch < 0) {
    model_->serve(wave);
  } else {
    losses_.push_back(model_->train(step_, wave, microbatch, data_, expert_load_));
  }
  experts_->end_wave();
}

Vote StepRunner::make_vote() const {
  Vote vote;
  vote.planned = hooks_.planned();
  vote.snapshot = hooks_.snapshot();
  vote.saving = hooks_.saving();
  vote.losses = losses_;
  vote.expert_load = expert_load_;
  if (!reduction_) return vote;
  for (const auto& [key, shard] : store_.all()) {
    const std::vector<double>& squares = reduction_->gradient(*shard).squares;
    vote.squares_of.push_back({shard->unit, shard->blocks.lo, shard->blocks.size()});
    vote.squares.insert(vote.squares.end(), squares.begin(), squares.end());
  }
  return vote;
}

VoteRecord StepRunner::vote() {
  hooks_.interrupt();
  const TracedSpan span(hooks_.trace, StepPhase::kVote);
  vote_bytes_ = to_bytes(make_vote());
  // Before the first byte leaves: from then on another member may have all votes and commit, so that this step must not
  // be forgotten here, whatever becomes of the exchange.
  voted_ = true;
  const auto all = must(all_gather_v(mesh_, view_.member_ranks(), make_tag(step_, TransferOp::kVote), vote_bytes_));
  std::vector<Vote> votes;
  for (const auto& bytes : all) votes.push_back(must(vote_from_bytes(bytes)));
  const VoteRecord record = must(count_votes(*view_.job, step_, votes));
  for (std::size_t i = 0; i < expert_load_.size(); ++i) {
    expert_load_[i] = 0;
    for (const Vote& vote : votes) expert_load_[i] += i < vote.expert_load.size() ? vote.expert_load[i] : 0;
  }
  return record;
}

Prepared StepRunner::prepared() {
  if (!voted_) return {};
  return {step_, [this](const VoteRecord& record) {
            REGROUP_CHECK(voted_ && record.step == step_.value, "prepared", step_.value, "record", record.step);
            update(record);
            return bad_;
          }};
}

void StepRunner::update(const VoteRecord& record) {
  const TracedSpan span(hooks_.trace, StepPhase::kUpdate);
  {
    const TracedSpan wait(hooks_.trace, StepPhase::kSnapshot);
    hooks_.before_update();
  }
  const JobSpec& spec = view_.job->spec;
  const double norm = record.norm();
  bad_ = bad_.after(record.bad());
  if (record.bad()) {
    log::warn("bad_step", {{"step", record.step},
                           {"in_a_row", bad_.in_a_row},
                           {"reason", "the gradients' norm is not finite; weights and moments stay as they are"}});
  } else if (reduction_) {
    const double rate = ops::learning_rate(spec.optimizer, record.step, schedule_end(spec));
    const double grad_scale =
        ops::clip_factor(spec.optimizer.clip_norm, norm) / static_cast<double>(record.targets > 0 ? record.targets : 1);
    for (const auto& [key, shard] : store_.all()) {
      ops::adamw_blocks(unit(shard->unit), shard->blocks, shard->array(0), shard->array(1), shard->array(2),
                        reduction_->gradient(*shard).sum.data(), spec.optimizer, record.step - bad_.total, rate,
                        grad_scale);  // the moments know only of good steps
    }
  }
  voted_ = false;
}

// The weights are at rest.
std::vector<MicrobatchLoss> StepRunner::validation_losses(Step name) {
  std::vector<MicrobatchLoss> losses;
  gather_->begin(name);
  experts_->begin_step(name);
  for (int wave = 0; wave < view_.validation_waves(); ++wave) {
    const std::vector<int> microbatches = view_.validation_microbatches(wave);
    if (std::all_of(microbatches.begin(), microbatches.end(), [](int m) { return m < 0; })) continue;
    experts_->begin_wave(wave, microbatches);
    const int microbatch = microbatches[static_cast<std::size_t>(view_.member)];
    if (microbatch < 0) {
      model_->serve_validation();
    } else {
      losses.push_back(model_->validate(microbatch, *validation_data_));
    }
    experts_->end_wave();
  }
  gather_->end();
  return losses;
}

ValidationRecord StepRunner::validate(Step step) {
  const Step name = validation_name(step);
  std::vector<MicrobatchLoss> mine;
  if (gather_) mine = validation_losses(name);
  hooks_.interrupt();
  WireWriter out;
  out.put(mine);
  vote_bytes_ = out.bytes();
  std::vector<std::vector<MicrobatchLoss>> all;
  for (const auto& bytes :
       must(all_gather_v(mesh_, view_.member_ranks(), make_tag(name, TransferOp::kVote), vote_bytes_))) {
    WireReader in(bytes);
    all.push_back(in.get_vector<MicrobatchLoss>());
    if (!in.ok()) throw Interrupted{{Code::kCorrupt, "a member's validation losses are cut short"}};
  }
  return must(count_validation(*view_.job, step, all));
}

std::vector<std::string> StepRunner::weights_digest(Step step) {
  return weights_digest_.make(step, gather_ ? &*gather_ : nullptr);
}

}  // namespace regroup
