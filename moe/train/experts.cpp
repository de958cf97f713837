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

ExpertExchange::ExpertExchange(const EpochView& view, Mesh& mesh, const ShardStore& store, Reduction& reduction, std::function<void()> interrupt)
    : view_(view), mesh_(mesh), reduction_(reduction), interrupt_(std::move(interrupt)), weights_(view.job->units.size()) {
  REGROUP_CHECK(view_.job->shape().expert_slices == 1, "expert_slices", view_.job->shape().expert_slices);
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

void ExpertExchange::begin_step(Step step) {
  step_ = step;
  seconds_waited_ = 0;
  for (const Rounded& rounded : rounded_) {
    const auto unit = static_cast<std::size_t>(rounded.shard->unit);
    ops::compute_weights(view_.job->units[unit], view_.job->forms[unit], rounded.shard->blocks, rounded.shard->master(), reinterpret_cast<std::byte*>(rounded.buffer.data()));
  }
}

void ExpertExchange::begin_wave(int wave) {
  wave_ = wave;
  in_flight_.clear();
  older_.clear();
  for (LayerState& layer : layers_) {
    layer.counts.clear();
    layer.saved.clear();
  }
}

void ExpertExchange::wait(const TransferPtr& transfer) {
  const auto start = std::chrono::steady_clock::now();
  must(mesh_.wait(transfer));
  seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void ExpertExchange::release_older() {
  if (view_.job->spec.recompute == Recompute::kNone) return;
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
    const int holder = view_.holder_of(layer, expert);
    const Tag tag = make_tag(step_, out, index(layer, expert));
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
  return arriving;
}

std::vector<TransferPtr> ExpertExchange::expect_returns(int layer, const ops::Routing* routing, const at::Tensor& rows, TransferOp back) {
  std::vector<TransferPtr> returns;
  if (routing == nullptr) return returns;
  for (int expert = 0; expert < view_.job->shape().num_local_experts; ++expert) {
    const int holder = view_.holder_of(layer, expert);
    if (holder == view_.member || routing->counts[static_cast<std::size_t>(expert)] == 0) continue;
    const at::Tensor part = segment(rows, *routing, expert);
    returns.push_back(mesh_.receive(view_.rank_of(holder), make_tag(step_, back, index(layer, expert)), bytes(part)));
    in_flight_.emplace_back(returns.back(), part);
  }
  return returns;
}

at::Tensor ExpertExchange::forward(int layer, const ops::Routing* routing, bool again) {
  release_older();
  if (!again) exchange_counts(layer, routing);
  const Recompute recompute = view_.job->spec.recompute;
  const bool keeps = again || recompute != Recompute::kFull;
  const TransferOp out = again ? TransferOp::kRowsAgain : TransferOp::kRows;
  const TransferOp back = again ? TransferOp::kOutputsAgain : TransferOp::kOutputs;
  LayerState& state = layers_[static_cast<std::size_t>(layer)];
  at::Tensor rows, outputs;
  if (routing != nullptr) {
    rows = ops::dispatch_rows(*routing);
    outputs = at::empty_like(rows);
  }
  auto arriving = trade_rows(layer, routing, rows, out);
  const auto returns = expect_returns(layer, routing, outputs, back);
  // Own segments first: the others' rows are on their way meanwhile. The order does not matter here, nothing is summed.
  for (int turn = 0; turn < view_.group_size(); ++turn) {
    const int member = (view_.member + turn) % view_.group_size();
    if (!active(member)) continue;
    for (const int expert : view_.experts_of(layer, view_.member)) {
      if (state.counts[static_cast<std::size_t>(member)][static_cast<std::size_t>(expert)] == 0) continue;
      interrupt_();
      const auto& weights = weights_[static_cast<std::size_t>(expert_unit_index(view_.job->shape(), layer, expert))];
      ops::ExpertSaved saved;
      if (member == view_.member) {
        ops::expert_forward(weights, segment(rows, *routing, expert), saved, segment(outputs, *routing, expert));
      } else {
        const Arriving& from = arriving.at({member, expert});
        wait(from.receive);
        send(member, make_tag(step_, back, index(layer, expert)), ops::expert_forward(weights, from.rows, saved));
      }
      if (recompute == Recompute::kExperts) saved.hidden.reset();
      if (keeps) state.saved[{member, expert}] = std::move(saved);
    }
  }
  for (const TransferPtr& transfer : returns) wait(transfer);
  return outputs;
}

at::Tensor ExpertExchange::backward(int layer, const ops::Routing* routing, const at::Tensor& dy_rows) {
  release_older();
  LayerState& state = layers_[static_cast<std::size_t>(layer)];
  at::Tensor dx_rows;
  if (routing != nullptr) dx_rows = at::empty_like(dy_rows);
  auto arriving = trade_rows(layer, routing, dy_rows, TransferOp::kGradOutputs);
  const auto returns = expect_returns(layer, routing, dx_rows, TransferOp::kGradRows);
  // Ascending member = ascending microbatch: the order in which the weight gradients are added.
  for (int member = 0; member < view_.group_size(); ++member) {
    if (!active(member)) continue;
    const int microbatch = view_.microbatch(wave_, member);
    for (const int expert : view_.experts_of(layer, view_.member)) {
      if (state.counts[static_cast<std::size_t>(member)][static_cast<std::size_t>(expert)] == 0) continue;
      interrupt_();
      const int unit = expert_unit_index(view_.job->shape(), layer, expert);
      const auto& weights = weights_[static_cast<std::size_t>(unit)];
      ops::ExpertSaved& saved = state.saved.at({member, expert});
      at::Tensor dy = member == view_.member ? segment(dy_rows, *routing, expert) : at::Tensor();
      if (member != view_.member) {
        const Arriving& from = arriving.at({member, expert});
        wait(from.receive);
        dy = from.rows;
      }
      bool fresh = false;
      float* sum = reduction_.expert_accumulator(unit, microbatch, fresh);
      const Unit& spec = view_.job->units[static_cast<std::size_t>(unit)];
      if (fresh) std::memset(sum, 0, static_cast<std::size_t>(spec.padded_numel()) * sizeof(float));
      ops::ExpertWeights accumulator = ops::expert_weights(spec, sum);
      if (member == view_.member) {
        ops::expert_backward(weights, dy, saved, accumulator, segment(dx_rows, *routing, expert));
      } else {
        send(member, make_tag(step_, TransferOp::kGradRows, index(layer, expert)), ops::expert_backward(weights, dy, saved, accumulator));
      }
    }
  }
  state.saved.clear();
  for (const TransferPtr& transfer : returns) wait(transfer);
  return dx_rows;
}

void ExpertExchange::end_wave() {
  for (const auto& [transfer, rows] : older_) wait(transfer);
  for (const auto& [transfer, rows] : in_flight_) wait(transfer);
  older_.clear();
  in_flight_.clear();
}

}  // namespace regroup
