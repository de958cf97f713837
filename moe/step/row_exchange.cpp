#include "moe/step/row_exchange.hpp"

#include "base/now.hpp"
#include "moe/ops/expert.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/state/interrupt.hpp"

#include <ATen/ops/empty_like.h>

#include <chrono>
#include <utility>

namespace regroup {
namespace {

std::span<std::byte> bytes(const at::Tensor& rows) { return {static_cast<std::byte*>(rows.data_ptr()), rows.nbytes()}; }

}  // namespace

at::Tensor segment_of(const at::Tensor& rows, const ops::Routing& routing, int expert) {
  return rows.narrow(0, routing.first_row(expert), routing.counts[static_cast<std::size_t>(expert)]);
}

RowExchange::RowExchange(const EpochView& view, mesh::Mesh& mesh, std::function<bool()> meanwhile, Trace* trace)
    : view_(view),
      mesh_(mesh),
      meanwhile_(std::move(meanwhile)),
      trace_(trace),
      counts_(static_cast<std::size_t>(view.job->shape().num_hidden_layers)) {}

std::int64_t RowExchange::index(int layer, int expert) const {
  const auto& shape = view_.job->shape();
  return (wave_ * shape.num_hidden_layers + layer) * shape.num_local_experts + expert;
}

std::int64_t RowExchange::index(int layer, ExpertSlice slice) const {
  return index(layer, slice.expert) * view_.job->shape().expert_slices + slice.slice;
}

void RowExchange::begin_step(Step step) {
  step_ = step;
  seconds_waited_ = 0;
}

void RowExchange::begin_wave(int wave, std::vector<int> microbatches) {
  wave_ = wave;
  microbatches_ = std::move(microbatches);
  in_flight_.clear();
  older_.clear();
  for (auto& counts : counts_) counts.clear();
}

void RowExchange::wait(const mesh::TransferPtr& transfer) {
  while (!mesh_.ready(transfer) && meanwhile_()) continue;
  const TracedSpan span(trace_, StepPhase::kDispatch);
  const auto start = std::chrono::steady_clock::now();
  must(mesh_.wait(transfer));
  seconds_waited_ += seconds_since(start);
}

void RowExchange::release_older(Pass pass) {
  if (pass != Pass::kValidate && view_.job->spec.recompute == Recompute::kNone) return;
  for (const auto& [transfer, rows] : older_) wait(transfer);
  older_ = std::exchange(in_flight_, {});
}

void RowExchange::send(int member, mesh::Tag tag, const at::Tensor& rows) {
  in_flight_.emplace_back(mesh_.send(view_.rank_of(member), tag, bytes(rows)), rows);
}

void RowExchange::exchange_counts(int layer, const ops::Routing* routing) {
  auto& counts_of = counts_[static_cast<std::size_t>(layer)];
  const auto experts = static_cast<std::size_t>(view_.job->shape().num_local_experts);
  const mesh::Tag tag = make_tag(step_, TransferOp::kCounts, wave_ * view_.job->shape().num_hidden_layers + layer);
  counts_of.assign(static_cast<std::size_t>(view_.group_size()), {});
  std::vector<mesh::TransferPtr> transfers;
  for (int member = 0; member < view_.group_size(); ++member) {
    auto& counts = counts_of[static_cast<std::size_t>(member)];
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

RowExchange::Arrivals RowExchange::trade(int layer, const ops::Routing* routing, const at::Tensor& rows,
                                         TransferOp out) {
  const auto& shape = view_.job->shape();
  Arrivals arriving;
  for (int expert = 0; expert < shape.num_local_experts; ++expert) {
    const mesh::Tag tag = make_tag(step_, out, index(layer, expert));
    for (const int holder : view_.holders_of(layer, expert)) {
      if (holder != view_.member) {
        if (routing != nullptr && routing->counts[static_cast<std::size_t>(expert)] > 0)
          send(holder, tag, segment_of(rows, *routing, expert));
        continue;
      }
      for (int member = 0; member < view_.group_size(); ++member) {
        if (member == view_.member || !active(member)) continue;
        const std::int64_t rows_to_come = count(layer, member, expert);
        if (rows_to_come == 0) continue;
        at::Tensor from_peer = ops::empty({rows_to_come, shape.hidden_size},
                                          view_.job->spec.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat);
        mesh::TransferPtr receive = mesh_.receive(view_.rank_of(member), tag, bytes(from_peer));
        in_flight_.emplace_back(receive, from_peer);
        arriving[{member, expert}] = {std::move(receive), from_peer};
      }
    }
  }
  return arriving;
}

RowExchange::Answers RowExchange::expect_answers(int layer, const ops::Routing* routing, const at::Tensor& rows,
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
      const at::Tensor part = segment_of(answers.of(slice), *routing, expert);
      answers.receives.push_back(
          mesh_.receive(view_.rank_of(holder), make_tag(step_, back, index(layer, {expert, slice})), bytes(part)));
      in_flight_.emplace_back(answers.receives.back(), part);
    }
  }
  return answers;
}

at::Tensor RowExchange::join(const Answers& answers) {
  for (const mesh::TransferPtr& transfer : answers.receives) wait(transfer);
  if (answers.more.defined()) ops::add_slices(answers.sum, answers.more);
  return answers.sum;
}

void RowExchange::end_wave() {
  for (const auto& [transfer, rows] : older_) wait(transfer);
  for (const auto& [transfer, rows] : in_flight_) wait(transfer);
  older_.clear();
  in_flight_.clear();
}

}  // namespace regroup
