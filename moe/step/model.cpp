#include "moe/step/model.hpp"

#include "moe/ops/embedding.hpp"
#include "moe/ops/head.hpp"
#include "moe/state/interrupt.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace regroup {

Model::Model(const EpochView& view, DenseGather& gather, ExpertExchange& experts, Reduction& reduction,
             std::function<void()> point, Trace* trace)
    : view_(view), gather_(gather), experts_(experts), reduction_(reduction), point_(std::move(point)), trace_(trace) {
  const JobSpec& spec = view_.job->spec;
  dims_ = {spec.model, spec.sequences_per_microbatch, spec.sequence_length, spec.precision};
  rope_ = ops::make_rope(dims_);
  layers_.resize(static_cast<std::size_t>(spec.model.num_hidden_layers));
  tokens_ = at::empty({dims_.tokens()}, at::kLong);
  targets_ = at::empty({dims_.tokens()}, at::kLong);
}

ops::DenseWeights Model::dense(int layer) {
  const int index = dense_unit_index(view_.job->shape(), layer);
  return ops::dense_weights(unit(index), form(index), gather_.weights(index));
}

ops::HeadWeights Model::head() {
  const int index = head_unit();
  if (!view_.job->shape().tie_word_embeddings)
    return ops::head_weights(unit(index), form(index), gather_.weights(index));
  const ops::EmbeddingWeights tied = ops::embedding_weights(unit(0), form(0), gather_.weights(0));
  return ops::head_weights(unit(index), form(index), gather_.weights(index), &tied);
}

ops::HeadWeights Model::head_leaf() {
  const int index = head_unit();
  if (!view_.job->shape().tie_word_embeddings) return ops::head_weights(unit(index), reduction_.leaf(index));
  const ops::EmbeddingWeights tied = ops::embedding_weights(unit(0), reduction_.leaf(0));
  return ops::head_weights(unit(index), reduction_.leaf(index), &tied);
}

MicrobatchLoss Model::train(Step step, int wave, int microbatch, const Dataset& data,
                            std::vector<std::int64_t>& expert_load) {
  step_ = step;
  microbatch_ = microbatch;
  load(data,
       ((step_.value - 1) * view_.job->spec.microbatches + microbatch) * view_.job->spec.sequences_per_microbatch);
  const at::Tensor x = forward(Pass::kTrain, &expert_load);
  ops::HeadWeights leaf = head_leaf();
  const ops::HeadResult result = [&] {
    const TracedSpan span(trace_, "head");
    return ops::head_forward_backward(head(), x, targets_, dims_, leaf);
  }();
  reduction_.send_leaf(head_unit(), wave);
  const MicrobatchLoss loss{microbatch, result.loss_sum, result.num_targets, aux_.loss(), aux_.z_loss};
  backward(wave, result.dx, result.num_targets);
  return loss;
}

MicrobatchLoss Model::validate(int microbatch, const Dataset& data) {
  load(data, static_cast<std::int64_t>(microbatch) * view_.job->spec.sequences_per_microbatch);
  const at::Tensor x = forward(Pass::kValidate, nullptr);
  const ops::HeadResult result = ops::head_forward(head(), x, targets_, dims_);
  return {microbatch, result.loss_sum, result.num_targets};
}

void Model::load(const Dataset& data, std::int64_t first_sample) {
  const JobSpec& spec = view_.job->spec;
  std::vector<std::int64_t> sequence(static_cast<std::size_t>(spec.sequence_length + 1));
  auto* tokens = tokens_.data_ptr<std::int64_t>();
  auto* targets = targets_.data_ptr<std::int64_t>();
  for (int s = 0; s < spec.sequences_per_microbatch; ++s) {
    // what this worker alone sees is a fault of its own
    if (auto filled = data.fill(first_sample + s, sequence); !filled)
      throw Interrupted{{Code::kInternal, filled.error().context}};
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

at::Tensor Model::forward(Pass pass, std::vector<std::int64_t>* expert_load) {
  const JobSpec& spec = view_.job->spec;
  aux_ = {};
  at::Tensor x = ops::embedding_forward(ops::embedding_weights(unit(0), form(0), gather_.weights(0)), tokens_);
  const auto experts = static_cast<std::size_t>(spec.model.num_local_experts);
  for (int layer = 0; layer < spec.model.num_hidden_layers; ++layer) {
    point_();
    const TracedSpan span(trace_, "forward", layer);
    LayerSaved& saved = layers_[static_cast<std::size_t>(layer)];
    at::Tensor out = layer_forward(layer, x, saved, pass);
    if (pass == Pass::kTrain && spec.model.is_sparse(layer)) {
      aux_.add(saved.router, saved.routing);
      for (std::size_t e = 0; e < experts; ++e)
        (*expert_load)[static_cast<std::size_t>(layer) * experts + e] += saved.routing.counts[e];
    }
    if (pass == Pass::kValidate || spec.recompute == Recompute::kFull) saved = {};
    if (pass == Pass::kTrain && spec.recompute == Recompute::kFull) saved.input = x;
    x = std::move(out);
  }
  return x;
}

at::Tensor Model::layer_forward(int layer, const at::Tensor& x, LayerSaved& saved, Pass pass) {
  const JobSpec& spec = view_.job->spec;
  const ops::DenseWeights weights = dense(layer);
  const at::Tensor x_mid = ops::attention_forward(weights, x, rope_, dims_, saved.attention, documents_);
  if (!spec.model.is_sparse(layer)) return ops::mlp_forward(weights, x_mid, dims_, saved.mlp);
  const ops::Jitter jitter = pass == Pass::kValidate ? ops::Jitter{}
                                                     : ops::jitter_of(spec.model.router_jitter_noise, spec.seed,
                                                                      step_.value, microbatch_, layer);
  saved.routing = ops::router_forward(weights, x_mid, dims_, saved.router, jitter);
  saved.outputs = experts_.forward(layer, &saved.routing, pass);
  return pass == Pass::kAgain ? at::Tensor() : ops::combine_forward(x_mid, saved.outputs, saved.routing);
}

void Model::backward(int wave, at::Tensor dx, std::int64_t targets) {
  const auto& shape = view_.job->shape();
  const std::vector<float> aux = ops::aux_gradient(aux_, shape.router_aux_loss_coef, targets);
  const float z = ops::z_gradient(view_.job->spec.router_z_loss_coef, targets, dims_.tokens());
  int sent = head_unit();  // its leaves are added one layer later: by then the others' have come
  for (int layer = static_cast<int>(shape.num_hidden_layers) - 1; layer >= 0; --layer) {
    point_();
    const TracedSpan span(trace_, "backward", layer);
    LayerSaved& saved = layers_[static_cast<std::size_t>(layer)];
    const int index = dense_unit_index(shape, layer);
    if (saved.input.defined()) {
      const TracedSpan repeated(trace_, "recompute", layer);
      const at::Tensor input = std::move(saved.input);
      layer_forward(layer, input, saved, Pass::kAgain);
    }
    ops::DenseWeights leaf = ops::dense_weights(unit(index), reduction_.leaf(index));
    const ops::DenseWeights weights = dense(layer);
    at::Tensor dx_mid;
    if (shape.is_sparse(layer)) {
      const ops::CombineGrad combine = ops::combine_backward(dx, saved.outputs, saved.routing);
      const at::Tensor dx_rows = experts_.backward(layer, &saved.routing, combine.dy_rows);
      dx_mid = ops::router_backward(weights, dx, dx_rows, combine.dweight, aux, z, saved.router, saved.routing, leaf);
    } else {
      dx_mid = ops::mlp_backward(weights, dx, saved.mlp, leaf);
    }
    dx = ops::attention_backward(weights, dx_mid, saved.attention, rope_, dims_, leaf);
    reduction_.send_leaf(index, wave);
    saved = {};
    reduce(std::exchange(sent, index), wave);
  }
  float* table = reduction_.leaf(0);
  if (!shape.tie_word_embeddings)
    std::memset(table, 0, static_cast<std::size_t>(unit(0).padded_numel()) * sizeof(float));
  ops::EmbeddingWeights leaf = ops::embedding_weights(unit(0), table);
  ops::embedding_backward(dx, tokens_, leaf);
  reduction_.send_leaf(0, wave);
  reduce(sent, wave);
  reduce(0, wave);
}

void Model::reduce(int index, int wave) {
  point_();
  const TracedSpan span(trace_, StepPhase::kReduce);
  reduction_.add_leaves(index, wave);
  if (wave + 1 == view_.waves()) reduction_.unit_done(index);
}

void Model::serve_forward(Pass pass) {
  for (int layer = 0; layer < view_.job->shape().num_hidden_layers; ++layer) {
    point_();
    const TracedSpan span(trace_, "forward", layer);
    if (view_.job->shape().is_sparse(layer)) experts_.forward(layer, nullptr, pass);
  }
}

void Model::serve(int wave) {
  serve_forward(Pass::kTrain);
  const auto& shape = view_.job->shape();
  int sent = head_unit();
  for (int layer = static_cast<int>(shape.num_hidden_layers) - 1; layer >= 0; --layer) {
    point_();
    if (shape.is_sparse(layer)) {
      const TracedSpan span(trace_, "backward", layer);
      if (view_.job->spec.recompute == Recompute::kFull) experts_.forward(layer, nullptr, Pass::kAgain);
      experts_.backward(layer, nullptr, {});
    }
    reduce(std::exchange(sent, dense_unit_index(shape, layer)), wave);
  }
  reduce(sent, wave);
  reduce(0, wave);
}

}  // namespace regroup
