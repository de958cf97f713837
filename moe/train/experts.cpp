#include "moe/train/experts.hpp"

#include "moe/train/interrupt.hpp"
#include "moe/train/ops/gemm.hpp"
#include "moe/train/ops/state.hpp"

#include <ATen/ops/empty_like.h>

#include <chrono>
#include <cstring>
#include <utility>

namespace regroup {
namespace {

at::Tensor segment(const at::Tensor& rows, const ops::Routing& routing, int expert) {
  return rows.narrow(0, routing.first_row(expert), routing.counts[static_cast<std::size_t>(expert)]);
}

std::span<std::byte> bytes(const at::Tensor& rows) { return {static_cast<std::byte*>(rows.data_ptr()), rows.nbytes()}; }

}  // namespace

ExpertExchange::ExpertExchange(const EpochView& view, Mesh& mesh, const ShardStore& store, Reduction& reduction, std::function<void()> interrupt, Trace* trace)
    : view_(view), mesh_(mesh), reduction_(reduction), interrupt_(std::move(interrupt)), trace_(trace), weights_(view.job->units.size()) {
  layers_.resize(static_cast<std::size_t>(view_.job->shape().num_hidden_layers));
  for (const auto& [key, shard] : store.all()) {
    const Unit& unit = view_.job->units[static_cast<std::size_t>(shard->unit)];
    if (!unit.is_expert()) continue;
    auto* base = reinterpret_cast<std::byte*>(shard->master());
    const ComputeForm& form = view_.job->forms[static_cast<std::size_t>(shard->unit)];
    if (form.precision() != Precision::kFp32) {
      rounded_.push_back({shard, Floats(form.bytes() / static_cast<std::int64_t>(sizeof(float)))});
      base = reinterpret_cast<std::byte*>(rounded_.back().buffer.data());
    }
    weights_[static_cast<std::size_t>(shard->unit)] = ops::expert_weights(unit, form, base);
  }
}

std::int64_t ExpertExchange::index(int layer, int expert) const {
  const auto& shape = view_.job->shape();
  return (wave_ * shape.num_hidden_layers + layer) * shape.num_local_experts + expert;
}

std::int64_t ExpertExchange::index(int layer, ExpertSlice slice) const { return index(layer, slice.expert) * view_.job->shape().expert_slices + slice.slice; }

void ExpertExchange::begin_step(Step step) {
  step_ = step;
  seconds_waited_ = 0;
  for (const Rounded& rounded : rounded_) {
    const auto unit = static_cast<std::size_t>(rounded.shard->unit);
    ops::compute_weights(view_.job->units[unit], view_.job->forms[unit], rounded.shard->blocks, rounded.shard->master(), reinterpret_cast<std::byte*>(rounded.buffer.data()));
  }
}

void ExpertExchange::begin_wave(int wave, std::vector<int> microbatches) {
  wave_ = wave;
  microbatches_ = std::move(microbatches);
  in_flight_.clear();
  older_.clear();
  for (LayerState& layer : layers_) {
    layer.counts.clear();
    layer.saved.clear();
  }
}

void ExpertExchange::wait(const TransferPtr& transfer) {
  const TracedSpan span(trace_, "dispatch");
  const auto start = std::chrono::steady_clock::now();
  must(mesh_.wait(transfer));
  seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void ExpertExchange::release_older(Pass pass) {
  if (pass != Pass::kValidate && view_.job->spec.recompute == Recompute::kNone) return;
  for (const auto& [transfer, rows] : older_) wait(transfer);
  older_ = std::exchange(in_flight_, {});
}

void ExpertExchange::send(int member, Tag tag, const at::Tensor& rows) {
  in_flight_.emplace_back(mesh_.send(view_.rank_of(member), tag, bytes(rows)), rows);
}

void ExpertExchange::exchange_counts(int layer, const ops::Routing* routing) {
  LayerState& state = layers_[static_cast<std::size_t>(layer)];
  const auto experts = static_cast<std::size_t>(view_.job->shape().num_local_experts);
  const Tag tag = make_tag(step_, TransferOp::kCounts, wave_ * view_.job->shape().num_hidden_layers + layer);
  state.counts.assign(static_cast<std::size_t>(view_.group_size()), {});
  std::vector<TransferPtr> transfers;
  for (int member = 0; member < view_.group_size(); ++member) {
    auto& counts = state.counts[static_cast<std::size_t>(member)];
    if (member == view_.member) {
      if (routing != nullptr) counts = routing->counts;
    } else if (active(member)) {
      counts.resize(experts);
      transfers.push_back(mesh_.receive(view_.rank_of(member), tag, std::as_writable_bytes(std::span(counts))));
    }
  }
  if (routing != nullptr) {
    for (int member = 0; member < view_.group_size(); ++member) {
      if (member != view_.member) transfers.push_back(mesh_.send(view_.rank_of(member), tag, std::as_bytes(std::span(routing->counts)), Lane::kControl));
    }
  }
  for (const TransferPtr& transfer : transfers) wait(transfer);
}

std::map<std::pair<int, int>, ExpertExchange::Arriving> ExpertExchange::trade_rows(int layer, const ops::Routing* routing, const at::Tensor& rows, TransferOp out) {
  const LayerState& state = layers_[static_cast<std::size_t>(layer)];
  const auto& shape = view_.job->shape();
  std::map<std::pair<int, int>, Arriving> arriving;
  for (int expert = 0; expert < shape.num_local_experts; ++expert) {
    const Tag tag = make_tag(step_, out, index(layer, expert));
    for (const int holder : view_.holders_of(layer, expert)) {
      if (holder != view_.member) {
        if (routing != nullptr && routing->counts[static_cast<std::size_t>(expert)] > 0) send(holder, tag, segment(rows, *routing, expert));
        continue;
      }
      for (int member = 0; member < view_.group_size(); ++member) {
        if (member == view_.member || !active(member)) continue;
        const std::int64_t count = state.counts[static_cast<std::size_t>(member)][static_cast<std::size_t>(expert)];
        if (count == 0) continue;
        at::Tensor from_peer = ops::empty({count, shape.hidden_size}, view_.job->spec.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat);
        TransferPtr receive = mesh_.receive(view_.rank_of(member), tag, bytes(from_peer));
        in_flight_.emplace_back(receive, from_peer);
        arriving[{member, expert}] = {std::move(receive), from_peer};
      }
    }
  }
  return arriving;
}

ExpertExchange::Answers ExpertExchange::expect_answers(int layer, const ops::Routing* routing, const at::Tensor& rows, TransferOp back) {
  Answers answers;
  if (routing == nullptr) return answers;
  const auto& shape = view_.job->shape();
  answers.sum = at::empty_like(rows);
  if (shape.expert_slices > 1) {
    // A microbatch has as many rows in every layer.
    if (!more_.defined()) more_ = ops::empty({shape.expert_slices - 1, rows.size(0), rows.size(1)}, rows.scalar_type());
    answers.more = more_;
  }
  for (int expert = 0; expert < shape.num_local_experts; ++expert) {
    if (routing->counts[static_cast<std::size_t>(expert)] == 0) continue;
    for (int slice = 0; slice < shape.expert_slices; ++slice) {
      const int holder = view_.holder_of(layer, {expert, slice});
      if (holder == view_.member) continue;
      const at::Tensor part = segment(answers.of(slice), *routing, expert);
      answers.receives.push_back(mesh_.receive(view_.rank_of(holder), make_tag(step_, back, index(layer, {expert, slice})), bytes(part)));
      in_flight_.emplace_back(answers.receives.back(), part);
    }
  }
  return answers;
}

at::Tensor ExpertExchange::join(const Answers& answers) {
  for (const TransferPtr& transfer : answers.receives) wait(transfer);
  if (answers.more.defined()) ops::add_slices(answers.sum, answers.more);
  return answers.sum;
}

at::Tensor ExpertExchange::forward(int layer, const ops::Routing* routing, Pass pass) {
  const bool again = pass == Pass::kAgain;
  release_older(pass);
  if (!again) exchange_counts(layer, routing);
  const Recompute recompute = view_.job->spec.recompute;
  const bool keeps = again || (pass == Pass::kTrain && recompute != Recompute::kFull);
  const TransferOp out = again ? TransferOp::kRowsAgain : TransferOp::kRows;
  const TransferOp back = again ? TransferOp::kOutputsAgain : TransferOp::kOutputs;
  LayerState& state = layers_[static_cast<std::size_t>(layer)];
  at::Tensor rows;
  if (routing != nullptr) rows = ops::dispatch_rows(*routing);
  auto arriving = trade_rows(layer, routing, rows, out);
  const Answers answers = expect_answers(layer, routing, rows, back);
  // Own segments first: the others' rows are on their way meanwhile. The order does not matter here, nothing is summed.
  for (int turn = 0; turn < view_.group_size(); ++turn) {
    const int member = (view_.member + turn) % view_.group_size();
    if (!active(member)) continue;
    ops::ExpertSaved saved;
    int expert = -1;   // of `saved`
    for (const ExpertSlice& held : view_.slices_of(layer, view_.member)) {
      if (state.counts[static_cast<std::size_t>(member)][static_cast<std::size_t>(held.expert)] == 0) continue;
      interrupt_();
      const int unit = expert_unit_index(view_.job->shape(), layer, held.expert, held.slice);
      const auto& weights = weights_[static_cast<std::size_t>(unit)];
      // The next slice of the same expert computes with the same rows.
      saved.hidden.reset();
      if (std::exchange(expert, held.expert) != held.expert) saved.rows.reset();
      if (member == view_.member) {
        ops::expert_forward(weights, segment(rows, *routing, held.expert), saved, segment(answers.of(held.slice), *routing, held.expert));
      } else {
        const Arriving& from = arriving.at({member, held.expert});
        wait(from.receive);
        send(member, make_tag(step_, back, index(layer, held)), ops::expert_forward(weights, from.rows, saved));
      }
      if (recompute == Recompute::kExperts) saved.hidden.reset();
      if (keeps) state.saved[{member, unit}] = saved;
    }
  }
  return join(answers);
}

at::Tensor ExpertExchange::backward(int layer, const ops::Routing* routing, const at::Tensor& dy_rows) {
  release_older(Pass::kTrain);
  LayerState& state = layers_[static_cast<std::size_t>(layer)];
  auto arriving = trade_rows(layer, routing, dy_rows, TransferOp::kGradOutputs);
  const Answers answers = expect_answers(layer, routing, dy_rows, TransferOp::kGradRows);
  // Ascending member = ascending microbatch: the order in which the weight gradients are added.
  for (int member = 0; member < view_.group_size(); ++member) {
    if (!active(member)) continue;
    const int microbatch = microbatches_[static_cast<std::size_t>(member)];
    for (const ExpertSlice& held : view_.slices_of(layer, view_.member)) {
      if (state.counts[static_cast<std::size_t>(member)][static_cast<std::size_t>(held.expert)] == 0) continue;
      interrupt_();
      const int unit = expert_unit_index(view_.job->shape(), layer, held.expert, held.slice);
      const auto& weights = weights_[static_cast<std::size_t>(unit)];
      ops::ExpertSaved& saved = state.saved.at({member, unit});
      at::Tensor dy = member == view_.member ? segment(dy_rows, *routing, held.expert) : at::Tensor();
      if (member != view_.member) {
        const Arriving& from = arriving.at({member, held.expert});
        wait(from.receive);
        dy = from.rows;
      }
      bool fresh = false;
      float* sum = reduction_.expert_accumulator(unit, microbatch, fresh);
      const Unit& spec = view_.job->units[static_cast<std::size_t>(unit)];
      if (fresh) std::memset(sum, 0, static_cast<std::size_t>(spec.padded_numel()) * sizeof(float));
      ops::ExpertWeights accumulator = ops::expert_weights(spec, sum);
      if (member == view_.member) {
        ops::expert_backward(weights, dy, saved, accumulator, segment(answers.of(held.slice), *routing, held.expert));
      } else {
        send(member, make_tag(step_, TransferOp::kGradRows, index(layer, held)), ops::expert_backward(weights, dy, saved, accumulator));
      }
    }
  }
  state.saved.clear();
  if (wave_ + 1 == view_.waves()) {
    for (const ExpertSlice& held : view_.slices_of(layer, view_.member)) reduction_.unit_done(expert_unit_index(view_.job->shape(), layer, held.expert, held.slice));
  }
  return join(answers);
}

void ExpertExchange::end_wave() {
  for (const auto& [transfer, rows] : older_) wait(transfer);
  for (const auto& [transfer, rows] : in_flight_) wait(transfer);
  older_.clear();
  in_flight_.clear();
}

}  // namespace regroup
