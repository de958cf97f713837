#include "moe/train/step.hpp"

#include "base/digest.hpp"
#include "base/log.hpp"
#include "moe/train/interrupt.hpp"
#include "moe/train/ops/embedding.hpp"
#include "moe/train/ops/head.hpp"
#include "moe/train/ops/state.hpp"
#include "moe/train/tags.hpp"

#include <ATen/ops/empty.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <utility>

namespace regroup {
namespace {

class Stopwatch {
 public:
  double lap() {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

}  // namespace

StepRunner::StepRunner(const EpochView& view, Mesh& mesh, ShardStore& store, const Dataset& data, const Dataset* validation_data, FloatPool& pool, StepHooks hooks,
                       const BadSteps& bad)
    : view_(view), mesh_(mesh), store_(store), data_(data), validation_data_(validation_data), hooks_(std::move(hooks)), bad_(bad) {
  const JobSpec& spec = view_.job->spec;
  dims_ = {spec.model, spec.sequences_per_microbatch, spec.sequence_length, spec.precision};
  if (view_.group_index < 0) return;
  rope_ = ops::make_rope(dims_);
  gather_.emplace(view_, mesh_, store_, view_.job->forms, hooks_.trace);
  reduction_.emplace(view_, mesh_, store_, pool);
  experts_.emplace(view_, mesh_, store_, *reduction_, [this] { point(); }, hooks_.trace);
  layers_.resize(static_cast<std::size_t>(spec.model.num_hidden_layers));
  tokens_ = at::empty({dims_.tokens()}, at::kLong);
  targets_ = at::empty({dims_.tokens()}, at::kLong);
}

void StepRunner::point() {
  mesh_.set_progress(++progress_);
  hooks_.interrupt();
}

ops::DenseWeights StepRunner::dense(int layer) {
  const int index = dense_unit_index(view_.job->shape(), layer);
  return ops::dense_weights(unit(index), form(index), gather_->weights(index));
}

ops::HeadWeights StepRunner::head() {
  const int index = head_unit();
  if (!view_.job->shape().tie_word_embeddings) return ops::head_weights(unit(index), form(index), gather_->weights(index));
  const ops::EmbeddingWeights tied = ops::embedding_weights(unit(0), form(0), gather_->weights(0));
  return ops::head_weights(unit(index), form(index), gather_->weights(index), &tied);
}

ops::HeadWeights StepRunner::head_leaf() {
  const int index = head_unit();
  if (!view_.job->shape().tie_word_embeddings) return ops::head_weights(unit(index), reduction_->leaf(index));
  const ops::EmbeddingWeights tied = ops::embedding_weights(unit(0), reduction_->leaf(0));
  return ops::head_weights(unit(index), reduction_->leaf(index), &tied);
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
      const TracedSpan span(hooks_.trace, "reduce");
      reduction_->finish();
      gather_->end();
    }
    report.phases["gather"] = gather_->seconds_waited();
    report.phases["dispatch"] = experts_->seconds_waited();
    report.phases["reduce"] = reduction_->seconds_waited();
    report.phases["compute"] = compute - gather_->seconds_waited() - experts_->seconds_waited();
    phase.lap();
  }
  const VoteRecord record = vote();
  report.phases["vote"] = phase.lap();
  update(record);
  report.phases["update"] = phase.lap();
  const JobSpec& spec = view_.job->spec;
  report.epoch = view_.plan.epoch;
  report.step = step;
  report.loss = record.loss_sum / static_cast<double>(record.targets > 0 ? record.targets : 1);
  report.aux_loss = record.aux_sum / spec.microbatches;
  report.z_loss = record.z_sum / spec.microbatches;
  report.grad_norm = record.norm();
  report.bad = bad_;
  report.learning_rate = ops::learning_rate(spec.optimizer, step.value, spec.steps);
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
    serve(wave);
  } else {
    microbatch_ = microbatch;
    load(data_, ((step_.value - 1) * view_.job->spec.microbatches + microbatch) * view_.job->spec.sequences_per_microbatch);
    const at::Tensor x = forward(Pass::kTrain);
    ops::HeadWeights leaf = head_leaf();
    const ops::HeadResult result = [&] {
      const TracedSpan span(hooks_.trace, "head");
      return ops::head_forward_backward(head(), x, targets_, dims_, leaf);
    }();
    reduction_->send_leaf(head_unit(), wave);
    losses_.push_back({microbatch, result.loss_sum, result.num_targets, aux_.loss(), aux_.z_loss});
    backward(wave, result.dx, result.num_targets);
  }
  experts_->end_wave();
}

void StepRunner::reduce(int index, int wave) {
  point();
  const TracedSpan span(hooks_.trace, "reduce");
  reduction_->add_leaves(index, wave);
  if (wave + 1 == view_.waves()) reduction_->unit_done(index);
}

void StepRunner::load(const Dataset& data, std::int64_t first_sample) {
  const JobSpec& spec = view_.job->spec;
  std::vector<std::int64_t> sequence(static_cast<std::size_t>(spec.sequence_length + 1));
  auto* tokens = tokens_.data_ptr<std::int64_t>();
  auto* targets = targets_.data_ptr<std::int64_t>();
  for (int s = 0; s < spec.sequences_per_microbatch; ++s) {
    if (auto filled = data.fill(first_sample + s, sequence); !filled) throw Interrupted{{Code::kInternal, filled.error().context}};   // what this worker alone sees is a fault of its own
    std::copy(sequence.begin(), sequence.end() - 1, tokens + static_cast<std::int64_t>(s) * spec.sequence_length);
    std::copy(sequence.begin() + 1, sequence.end(), targets + static_cast<std::int64_t>(s) * spec.sequence_length);
  }
  documents_.clear();
  if (spec.separate_documents) {
    std::vector<std::int32_t> starts;
    for (int s = 0; s < spec.sequences_per_microbatch; ++s) {
      data.document_starts(first_sample + s, starts);
      starts.push_back(spec.sequence_length);
      for (std::size_t i = 1; i < starts.size(); ++i) documents_.push_back(starts[i] - starts[i - 1]);
    }
  }
}

at::Tensor StepRunner::forward(Pass pass) {
  const JobSpec& spec = view_.job->spec;
  aux_ = {};
  at::Tensor x = ops::embedding_forward(ops::embedding_weights(unit(0), form(0), gather_->weights(0)), tokens_);
  const auto experts = static_cast<std::size_t>(spec.model.num_local_experts);
  for (int layer = 0; layer < spec.model.num_hidden_layers; ++layer) {
    point();
    const TracedSpan span(hooks_.trace, "forward", layer);
    LayerSaved& saved = layers_[static_cast<std::size_t>(layer)];
    at::Tensor out = layer_forward(layer, x, saved, pass);
    if (pass == Pass::kTrain && spec.model.is_sparse(layer)) {
      aux_.add(saved.router, saved.routing);
      for (std::size_t e = 0; e < experts; ++e) expert_load_[static_cast<std::size_t>(layer) * experts + e] += saved.routing.counts[e];
    }
    if (pass == Pass::kValidate || spec.recompute == Recompute::kFull) saved = {};
    if (pass == Pass::kTrain && spec.recompute == Recompute::kFull) saved.input = x;
    x = std::move(out);
  }
  return x;
}

at::Tensor StepRunner::layer_forward(int layer, const at::Tensor& x, LayerSaved& saved, Pass pass) {
  const JobSpec& spec = view_.job->spec;
  const ops::DenseWeights weights = dense(layer);
  const at::Tensor x_mid = ops::attention_forward(weights, x, rope_, dims_, saved.attention, documents_);
  if (!spec.model.is_sparse(layer)) return ops::mlp_forward(weights, x_mid, dims_, saved.mlp);
  const ops::Jitter jitter = pass == Pass::kValidate ? ops::Jitter{} : ops::jitter_of(spec.model.router_jitter_noise, spec.seed, step_.value, microbatch_, layer);
  saved.routing = ops::router_forward(weights, x_mid, dims_, saved.router, jitter);
  saved.outputs = experts_->forward(layer, &saved.routing, pass);
  return pass == Pass::kAgain ? at::Tensor() : ops::combine_forward(x_mid, saved.outputs, saved.routing);
}

void StepRunner::backward(int wave, at::Tensor dx, std::int64_t targets) {
  const auto& shape = view_.job->shape();
  const std::vector<float> aux = ops::aux_gradient(aux_, shape.router_aux_loss_coef, targets);
  const float z = ops::z_gradient(view_.job->spec.router_z_loss_coef, targets, dims_.tokens());
  int sent = head_unit();   // its leaves are added one layer later: by then the others' have come
  for (int layer = static_cast<int>(shape.num_hidden_layers) - 1; layer >= 0; --layer) {
    point();
    const TracedSpan span(hooks_.trace, "backward", layer);
    LayerSaved& saved = layers_[static_cast<std::size_t>(layer)];
    const int index = dense_unit_index(shape, layer);
    if (saved.input.defined()) {
      const TracedSpan repeated(hooks_.trace, "recompute", layer);
      const at::Tensor input = std::move(saved.input);
      layer_forward(layer, input, saved, Pass::kAgain);
    }
    ops::DenseWeights leaf = ops::dense_weights(unit(index), reduction_->leaf(index));
    const ops::DenseWeights weights = dense(layer);
    at::Tensor dx_mid;
    if (shape.is_sparse(layer)) {
      const ops::CombineGrad combine = ops::combine_backward(dx, saved.outputs, saved.routing);
      const at::Tensor dx_rows = experts_->backward(layer, &saved.routing, combine.dy_rows);
      dx_mid = ops::router_backward(weights, dx, dx_rows, combine.dweight, aux, z, saved.router, saved.routing, leaf);
    } else {
      dx_mid = ops::mlp_backward(weights, dx, saved.mlp, leaf);
    }
    dx = ops::attention_backward(weights, dx_mid, saved.attention, rope_, dims_, leaf);
    reduction_->send_leaf(index, wave);
    saved = {};
    reduce(std::exchange(sent, index), wave);
  }
  float* table = reduction_->leaf(0);
  if (!shape.tie_word_embeddings) std::memset(table, 0, static_cast<std::size_t>(unit(0).padded_numel()) * sizeof(float));
  ops::EmbeddingWeights leaf = ops::embedding_weights(unit(0), table);
  ops::embedding_backward(dx, tokens_, leaf);
  reduction_->send_leaf(0, wave);
  reduce(sent, wave);
  reduce(0, wave);
}

void StepRunner::serve_forward(Pass pass) {
  for (int layer = 0; layer < view_.job->shape().num_hidden_layers; ++layer) {
    point();
    const TracedSpan span(hooks_.trace, "forward", layer);
    if (view_.job->shape().is_sparse(layer)) experts_->forward(layer, nullptr, pass);
  }
}

void StepRunner::serve(int wave) {
  serve_forward(Pass::kTrain);
  const auto& shape = view_.job->shape();
  int sent = head_unit();
  for (int layer = static_cast<int>(shape.num_hidden_layers) - 1; layer >= 0; --layer) {
    point();
    if (shape.is_sparse(layer)) {
      const TracedSpan span(hooks_.trace, "backward", layer);
      if (view_.job->spec.recompute == Recompute::kFull) experts_->forward(layer, nullptr, Pass::kAgain);
      experts_->backward(layer, nullptr, {});
    }
    reduce(std::exchange(sent, dense_unit_index(shape, layer)), wave);
  }
  reduce(sent, wave);
  reduce(0, wave);
}

Vote StepRunner::make_vote() const {
  Vote vote;
  vote.planned = hooks_.planned();
  vote.acked_snapshot = hooks_.acked_snapshot();
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
  const TracedSpan span(hooks_.trace, "vote");
  vote_bytes_ = to_bytes(make_vote());
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

std::optional<Step> StepRunner::prepared() const {
  if (!voted_) return std::nullopt;
  return step_;
}

void StepRunner::roll_forward(const VoteRecord& record) {
  REGROUP_CHECK(voted_ && record.step == step_.value, "prepared", step_.value, "record", record.step);
  update(record);
}

void StepRunner::update(const VoteRecord& record) {
  const TracedSpan span(hooks_.trace, "update");
  {
    const TracedSpan wait(hooks_.trace, "snapshot");
    hooks_.before_update();
  }
  const JobSpec& spec = view_.job->spec;
  const double norm = record.norm();
  bad_ = bad_.after(record.bad());
  if (record.bad()) {
    log::warn("bad_step", {{"step", record.step}, {"in_a_row", bad_.in_a_row}, {"reason", "the gradients' norm is not finite; weights and moments stay as they are"}});
  } else if (reduction_) {
    const double rate = ops::learning_rate(spec.optimizer, record.step, spec.steps);
    const double grad_scale = ops::clip_factor(spec.optimizer.clip_norm, norm) / static_cast<double>(record.targets > 0 ? record.targets : 1);
    for (const auto& [key, shard] : store_.all()) {
      ops::adamw_blocks(unit(shard->unit), shard->blocks, shard->array(0), shard->array(1), shard->array(2), reduction_->gradient(*shard).sum.data(), spec.optimizer, record.step - bad_.total, rate,
                        grad_scale);  // the moments know only of good steps
    }
  }
  voted_ = false;
}

std::string StepRunner::weights_digest(Step step) {
  const Step tag_step(step.value + 1);
  std::vector<std::string> lines;
  const auto add_lines = [&](const Unit& u, const float* flat) {
    for (const TensorSpec& tensor : u.tensors) lines.push_back(tensor_line(tensor.name, tensor.shape, flat + tensor.offset));
  };
  if (view_.group_index == 0) {
    // In fp32, whatever is computed in.
    if (view_.job->spec.precision != Precision::kFp32) {
      flat_forms_ = compute_forms(view_.job->units, Precision::kFp32);
      flat_gather_.emplace(view_, mesh_, store_, flat_forms_);
    }
    DenseGather& gather = flat_gather_ ? *flat_gather_ : *gather_;
    gather.begin(tag_step);
    for (const Unit& u : view_.job->units) {
      if (u.is_expert()) continue;
      const auto* flat = reinterpret_cast<const float*>(gather.weights(u.index));
      if (view_.member == 0) add_lines(u, flat);
    }
    gather.end();
    flat_gather_.reset();
    whole_experts_.emplace(view_, mesh_, store_);
    for (std::string& line : whole_experts_->digest_lines(tag_step)) lines.push_back(std::move(line));
    whole_experts_.reset();
  }
  std::string mine;
  for (const std::string& line : lines) mine += line + "\n";
  const auto all = must(all_gather_v(mesh_, view_.member_ranks(), make_tag(tag_step, TransferOp::kDigest), std::as_bytes(std::span(mine.data(), mine.size())), Lane::kBulk));
  lines.clear();
  for (const auto& bytes : all) {
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      lines.push_back(text.substr(at, end - at));
      at = end + 1;
    }
  }
  return regroup::weights_digest(lines);
}

}  // namespace regroup
