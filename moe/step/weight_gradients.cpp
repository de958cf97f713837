#include "moe/step/weight_gradients.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace regroup {

WeightGradients::WeightGradients(const EpochView& view, Reduction& reduction, Trace* trace)
    : view_(view),
      reduction_(reduction),
      trace_(trace),
      postpones_(view.group_size() > 1 && view.job->spec.recompute == Recompute::kNone) {}

void WeightGradients::add(int unit, int microbatch, ops::ExpertBackward rest) {
  Segment segment{unit, microbatch, std::move(rest)};
  if (postpones_) return open_.push_back(std::move(segment));
  accumulate(segment);
}

void WeightGradients::close(int layer, bool last) {
  REGROUP_CHECK(
      std::none_of(closed_.begin(), closed_.end(), [&](const Layer& waiting) { return waiting.layer == layer; }),
      "layer", layer, "is still queued from the wave before");
  // The smallest microbatch at the back, where run_one() takes it.
  std::sort(open_.begin(), open_.end(), [](const Segment& a, const Segment& b) {
    return std::pair(a.microbatch, a.unit) > std::pair(b.microbatch, b.unit);
  });
  closed_.push_back({layer, last, std::exchange(open_, {})});
  if (closed_.back().segments.empty()) run_one();
}

bool WeightGradients::run_one() {
  if (closed_.empty()) return false;
  Layer& newest = closed_.back();
  if (!newest.segments.empty()) {
    const TracedSpan span(trace_, "weight_gradients", newest.layer);
    accumulate(newest.segments.back());
    newest.segments.pop_back();
  }
  if (!newest.segments.empty()) return true;
  if (newest.last) {
    for (const ExpertSlice& held : view_.slices_of(newest.layer, view_.member))
      reduction_.unit_done(expert_unit_index(view_.job->shape(), newest.layer, held.expert, held.slice));
  }
  closed_.pop_back();
  return true;
}

void WeightGradients::accumulate(Segment& segment) {
  bool fresh = false;
  float* sum = reduction_.expert_accumulator(segment.unit, segment.microbatch, fresh);
  const Unit& unit = view_.job->units[static_cast<std::size_t>(segment.unit)];
  if (fresh) std::memset(sum, 0, static_cast<std::size_t>(unit.padded_numel()) * sizeof(float));
  ops::ExpertWeights accumulator = ops::expert_weights(unit, sum);
  ops::expert_weight_gradients(segment.rest, accumulator);
}

}  // namespace regroup
