#include "moe/step/experts.hpp"

#include "moe/ops/owner_update.hpp"

#include <algorithm>
#include <utility>

namespace regroup {
namespace {

int sparse_layers_above(const ModelShape& shape, int layer) {
  int count = 0;
  for (int above = layer + 1; above < shape.num_hidden_layers; ++above) count += shape.is_sparse(above) ? 1 : 0;
  return count;
}

}  // namespace

ExpertExchange::ExpertExchange(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, Reduction& reduction,
                               std::function<void()> interrupt, Trace* trace)
    : view_(view),
      weight_gradients_(view, reduction, trace),
      interrupt_(std::move(interrupt)),
      rows_(
          view, mesh,
          [this] {
            if (!weight_gradients_.run_one()) return false;
            interrupt_();
            return true;
          },
          trace),
      saved_(static_cast<std::size_t>(view.job->shape().num_hidden_layers)),
      weights_(view.job->units.size()) {
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

void ExpertExchange::begin_step(Step step) {
  rows_.begin_step(step);
  for (const Rounded& rounded : rounded_) {
    const auto unit = static_cast<std::size_t>(rounded.shard->unit);
    ops::compute_weights(view_.job->units[unit], view_.job->forms[unit], rounded.shard->blocks, rounded.shard->master(),
                         reinterpret_cast<std::byte*>(rounded.buffer.data()));
  }
}

void ExpertExchange::begin_wave(int wave, std::vector<int> microbatches) {
  rows_.begin_wave(wave, std::move(microbatches));
  for (Saved& of_layer : saved_) of_layer.clear();
}

std::vector<int> ExpertExchange::slices_held(int layer, int expert) const {
  std::vector<int> slices;
  for (int slice = 0; slice < view_.job->shape().expert_slices; ++slice) {
    if (view_.holder_of(layer, {expert, slice}) == view_.member) slices.push_back(slice);
  }
  return slices;
}

std::vector<ExpertExchange::Segment> ExpertExchange::segments(int layer) const {
  std::vector<Segment> found;
  for (int member = 0; member < view_.group_size(); ++member) {
    if (!rows_.active(member)) continue;
    for (int expert = 0; expert < view_.job->shape().num_local_experts; ++expert) {
      if (rows_.count(layer, member, expert) > 0 && !slices_held(layer, expert).empty())
        found.push_back({member, expert});
    }
  }
  return found;
}

ExpertExchange::Segment ExpertExchange::take_next(std::vector<Segment>& left, const RowExchange::Arrivals& arriving,
                                                  bool in_order) {
  const auto has_come = [&](const Segment& s) {
    return s.member != view_.member && rows_.has_come(arriving.at({s.member, s.expert}));
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
  if (!is_own(segment)) rows_.wait(arriving.at({segment.member, segment.expert}).receive);
  interrupt_();
  return segment;
}

void ExpertExchange::add_weight_gradients(int most) {
  while (weight_gradients_.layers_waiting() > most && weight_gradients_.run_one()) interrupt_();
}

at::Tensor ExpertExchange::forward(int layer, const ops::Routing* routing, Pass pass) {
  const bool again = pass == Pass::kAgain;
  rows_.release_older(pass);
  if (!again) rows_.exchange_counts(layer, routing);
  const Recompute recompute = view_.job->spec.recompute;
  const bool keeps = again || (pass == Pass::kTrain && recompute != Recompute::kFull);
  const TransferOp out = again ? TransferOp::kRowsAgain : TransferOp::kRows;
  const TransferOp back = again ? TransferOp::kOutputsAgain : TransferOp::kOutputs;
  Saved& saved_of = saved_[static_cast<std::size_t>(layer)];
  at::Tensor rows;
  if (routing != nullptr) rows = ops::dispatch_rows(*routing);
  const RowExchange::Arrivals arriving = rows_.trade(layer, routing, rows, out);
  const RowExchange::Answers answers = rows_.expect_answers(layer, routing, rows, back);
  for (std::vector<Segment> left = segments(layer); !left.empty();) {
    const auto [member, expert] = take_next(left, arriving, false);  // nothing is summed
    ops::ExpertSaved saved;
    for (const int slice : slices_held(layer, expert)) {
      const int unit = expert_unit_index(view_.job->shape(), layer, expert, slice);
      const auto& weights = weights_[static_cast<std::size_t>(unit)];
      saved.hidden.reset();  // the next slice computes with the same rows
      if (member == view_.member) {
        ops::expert_forward(weights, segment_of(rows, *routing, expert), saved,
                            segment_of(answers.of(slice), *routing, expert));
      } else {
        rows_.answer(member, back, layer, {expert, slice},
                     ops::expert_forward(weights, arriving.at({member, expert}).rows, saved));
      }
      if (recompute == Recompute::kExperts) saved.hidden.reset();
      if (keeps) saved_of[{member, unit}] = saved;
    }
  }
  at::Tensor result = rows_.join(answers);
  // they hold no more than the layers to come will
  if (pass == Pass::kTrain) add_weight_gradients(sparse_layers_above(view_.job->shape(), layer));
  return result;
}

at::Tensor ExpertExchange::backward(int layer, const ops::Routing* routing, const at::Tensor& dy_rows) {
  rows_.release_older(Pass::kTrain);
  Saved& saved_of = saved_[static_cast<std::size_t>(layer)];
  const RowExchange::Arrivals arriving = rows_.trade(layer, routing, dy_rows, TransferOp::kGradOutputs);
  const RowExchange::Answers answers = rows_.expect_answers(layer, routing, dy_rows, TransferOp::kGradRows);
  for (std::vector<Segment> left = segments(layer); !left.empty();) {
    const auto [member, expert] = take_next(left, arriving, !weight_gradients_.any_order());
    for (const int slice : slices_held(layer, expert)) {
      const int unit = expert_unit_index(view_.job->shape(), layer, expert, slice);
      const auto& weights = weights_[static_cast<std::size_t>(unit)];
      ops::ExpertSaved& saved = saved_of.at({member, unit});
      ops::ExpertBackward rest;
      if (member == view_.member) {
        ops::expert_row_gradients(weights, segment_of(dy_rows, *routing, expert), saved, rest,
                                  segment_of(answers.of(slice), *routing, expert));
      } else {
        rows_.answer(member, TransferOp::kGradRows, layer, {expert, slice},
                     ops::expert_row_gradients(weights, arriving.at({member, expert}).rows, saved, rest));
      }
      weight_gradients_.add(unit, rows_.microbatch(member), std::move(rest));
    }
  }
  saved_of.clear();
  weight_gradients_.close(layer, rows_.wave() + 1 == view_.waves());
  return rows_.join(answers);
}

void ExpertExchange::end_wave() {
  if (rows_.wave() + 1 == view_.waves()) add_weight_gradients(0);
  rows_.end_wave();
}

}  // namespace regroup
