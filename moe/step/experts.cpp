#include "moe/step/experts.hpp"

#include "base/now.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/state.hpp"
#include "moe/state/interrupt.hpp"

#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace regroup {
namespace {

at::Tensor segment(const at::Tensor& rows, const ops::Routing& routing, int expert) {
  return rows.narrow(0, routing.first_row(expert), routing.counts[static_cast<std::size_t>(expert)]);
}

int sparse_layers_above(const ModelShape& shape, int layer) {
  int count = 0;
  for (int above = layer + 1; above < shape.num_hidden_layers; ++above) count += shape.is_sparse(above) ? 1 : 0;
  return count;
}

std::span<std::byte> bytes(const at::Tensor& rows) { return {static_cast<std::byte*>(rows.data_ptr()), rows.nbytes()}; }

}  // namespace

ExpertExchange::ExpertExchange(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, Reduction& reduction,
                               std::function<void()> interrupt, Trace* trace)
    : view_(view),
      mesh_(mesh),
      weight_gradients_(view, reduction, trace),
      interrupt_(std::move(interrupt)),
      trace_(trace),
      weights_(view.job->units.size()) {
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

std::int64_t ExpertExchange::index(int layer, ExpertSlice slice) const {
  return index(layer, slice.expert) * view_.job->shape().expert_slices + slice.slice;
}

void ExpertExchange::begin_step(Step step) {
  step_ = step;
  seconds_waited_ = 0;
  for (const Rounded& rounded : rounded_) {
    const auto unit = static_cast<std::size_t>(rounded.shard->unit);
    ops::compute_weights(view_.job->units[unit], view_.job->forms[unit], rounded.shard->blocks, rounded.shard->master(),
                         reinterpret_cast<std::byte*>(rounded.buffer.data()));
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

void ExpertExchange::wait(const mesh::TransferPtr& transfer) {
  while (!mesh_.ready(transfer) && weight_gradients_.run_one()) interrupt_();
  const TracedSpan span(trace_, "dispatch");
  const auto start = std::chrono::steady_clock::now();
  must(mesh_.wait(transfer));
  seconds_waited_ += seconds_since(start);
}

void ExpertExchange::release_older(Pass pass) {
  if (pass != Pass::kValidate && view_.job->spec.recompute == Recompute::kNone) return;
  for (const auto& [transfer, rows] : older_) wait(transfer);
  older_ = std::exchange(in_flight_, {});
}

void ExpertExchange::send(int member, mesh::Tag tag, const at::Tensor& rows) {
  in_flight_.emplace_back(mesh_.send(view_.rank_of(member), tag, bytes(rows)), rows);
}

void ExpertExchange::exchange_counts(int layer, const ops::Routing* routing) {
  LayerState& state = layers_[static_cast<std::size_t>(layer)];
  const auto experts = static_cast<std::size_t>(view_.job->shape().num_local_experts);
  const mesh::Tag tag = make_tag(step_, TransferOp::kCounts, wave_ * view_.job->shape().num_hidden_layers + layer);
  state.counts.assign(static_cast<std::size_t>(view_.group_size()), {});
  std::vector<mesh::TransferPtr> transfers;
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
      if (member != view_.member)
        transfers.push_back(
            mesh_.send(view_.rank_of(member), tag, std::as_bytes(std::span(routing->counts)), mesh::Lane::kControl));
    }
  }
  for (const mesh::TransferPtr& transfer : transfers) wait(transfer);
}

ExpertExchange::Arrivals ExpertExchange::trade_rows(int layer, const ops::Routing* routing, const at::Tensor& rows,
                                                    TransferOp out) {
  const LayerState& state = layers_[static_cast<std::size_t>(layer)];
  const auto& shape = view_.job->shape();
  Arrivals arriving;
  for (int expert = 0; expert < shape.num_local_experts; ++expert) {
    const mesh::Tag tag = make_tag(step_, out, index(layer, expert));
    for (const int holder : view_.holders_of(layer, expert)) {
      if (holder != view_.member) {
        if (routing != nullptr && routing->counts[static_cast<std::size_t>(expert)] > 0)
          send(holder, tag, segment(rows, *routing, expert));
        continue;
      }
      for (int member = 0; member < view_.group_size(); ++member) {
        if (member == view_.member || !active(member)) continue;
        const std::int64_t count = state.counts[static_cast<std::size_t>(member)][static_cast<std::size_t>(expert)];
        if (count == 0) continue;
        at::Tensor from_peer = ops::empty({count, shape.hidden_size},
                                          view_.job->spec.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat);
        mesh::TransferPtr receive = mesh_.receive(view_.rank_of(member), tag, bytes(from_peer));
        in_flight_.emplace_back(receive, from_peer);
        arriving[{member, expert}] = {std::move(receive), from_peer};
      }
    }
  }
  return arriving;
}

ExpertExchange::Answers ExpertExchange::expect_answers(int layer, const ops::Routing* routing, const at::Tensor& rows,
                                                       TransferOp back) {
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
      answers.receives.push_back(
          mesh_.receive(view_.rank_of(holder), make_tag(step_, back, index(layer, {expert, slice})), bytes(part)));
      in_flight_.emplace_back(answers.receives.back(), part);
    }
  }
  return answers;
}

at::Tensor ExpertExchange::join(const Answers& answers) {
  for (const mesh::TransferPtr& transfer : answers.receives) wait(transfer);
  if (answers.more.defined()) ops::add_slices(answers.sum, answers.more);
  return answers.sum;
}

std::vector<int> ExpertExchange::slices_held(int layer, int expert) const {
  std::vector<int> slices;
  for (int slice = 0; slice < view_.job->shape().expert_slices; ++slice) {
    if (view_.holder_of(layer, {expert, slice}) == view_.member) slices.push_back(slice);
  }
  return slices;
}

std::vector<ExpertExchange::Segment> ExpertExchange::segments(int layer) const {
  const LayerState& state = layers_[static_cast<std::size_t>(layer)];
  std::vector<Segment> found;
  for (int member = 0; member < view_.group_size(); ++member) {
    if (!active(member)) continue;
    for (int expert = 0; expert < view_.job->shape().num_local_experts; ++expert) {
      if (state.counts[static_cast<std::size_t>(member)][static_cast<std::size_t>(expert)] > 0 &&
          !slices_held(layer, expert).empty())
        found.push_back({member, expert});
    }
  }
  return found;
}

ExpertExchange::Segment ExpertExchange::take_next(std::vector<Segment>& left, const Arrivals& arriving, bool in_order) {
  const auto has_come = [&](const Segment& s) {
    return s.member != view_.member && mesh_.ready(arriving.at({s.member, s.expert}).receive);
  };
  const auto is_own = [&](const Segment& s) { return s.member == view_.member; };
  auto next = left.begin();
  if (!in_order) {
    next = std::find_if(left.begin(), left.end(), has_come);  // others wait for the answer
    if (next == left.end()) next = std::find_if(left.begin(), left.end(), is_own);
    if (next == left.end()) next = left.begin();
  }
  const Segment segment = *next;
  left.erase(next);
  if (!is_own(segment)) wait(arriving.at({segment.member, segment.expert}).receive);
  interrupt_();
  return segment;
}

void ExpertExchange::add_weight_gradients(int most) {
  while (weight_gradients_.layers_waiting() > most && weight_gradients_.run_one()) interrupt_();
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
  const Arrivals arriving = trade_rows(layer, routing, rows, out);
  const Answers answers = expect_answers(layer, routing, rows, back);
  for (std::vector<Segment> left = segments(layer); !left.empty();) {
    const auto [member, expert] = take_next(left, arriving, false);  // nothing is summed
    ops::ExpertSaved saved;
    for (const int slice : slices_held(layer, expert)) {
      const int unit = expert_unit_index(view_.job->shape(), layer, expert, slice);
      const auto& weights = weights_[static_cast<std::size_t>(unit)];
      saved.hidden.reset();  // the next slice computes with the same rows
      if (member == view_.member) {
        ops::expert_forward(weights, segment(rows, *routing, expert), saved,
                            segment(answers.of(slice), *routing, expert));
      } else {
        send(member, make_tag(step_, back, index(layer, {expert, slice})),
             ops::expert_forward(weights, arriving.at({member, expert}).rows, saved));
      }
      if (recompute == Recompute::kExperts) saved.hidden.reset();
      if (keeps) state.saved[{member, unit}] = saved;
    }
  }
  at::Tensor result = join(answers);
  // they hold no more than the layers to come will
  if (pass == Pass::kTrain) add_weight_gradients(sparse_layers_above(view_.job->shape(), layer));
  return result;
}

at::Tensor ExpertExchange::backward(int layer, const ops::Routing* routing, const at::Tensor& dy_rows) {
  release_older(Pass::kTrain);
  LayerState& state = layers_[static_cast<std::size_t>(layer)];
  const Arrivals arriving = trade_rows(layer, routing, dy_rows, TransferOp::kGradOutputs);
  const Answers answers = expect_answers(layer, routing, dy_rows, TransferOp::kGradRows);
  for (std::vector<Segment> left = segments(layer); !left.empty();) {
    const auto [member, expert] = take_next(left, arriving, !weight_gradients_.any_order());
    for (const int slice : slices_held(layer, expert)) {
      const int unit = expert_unit_index(view_.job->shape(), layer, expert, slice);
      const auto& weights = weights_[static_cast<std::size_t>(unit)];
      ops::ExpertSaved& saved = state.saved.at({member, unit});
      ops::ExpertBackward rest;
      if (member == view_.member) {
        ops::expert_row_gradients(weights, segment(dy_rows, *routing, expert), saved, rest,
                                  segment(answers.of(slice), *routing, expert));
      } else {
        send(member, make_tag(step_, TransferOp::kGradRows, index(layer, {expert, slice})),
             ops::expert_row_gradients(weights, arriving.at({member, expert}).rows, saved, rest));
      }
      weight_gradients_.add(unit, microbatches_[static_cast<std::size_t>(member)], std::move(rest));
    }
  }
  state.saved.clear();
  weight_gradients_.close(layer, wave_ + 1 == view_.waves());
  return join(answers);
}

void ExpertExchange::end_wave() {
  if (wave_ + 1 == view_.waves()) add_weight_gradients(0);
  for (const auto& [transfer, rows] : older_) wait(transfer);
  for (const auto& [transfer, rows] : in_flight_) wait(transfer);
  older_.clear();
  in_flight_.clear();
}

}  // namespace regroup
