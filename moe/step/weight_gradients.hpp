// weight_gradients.hpp: the weight gradients of the experts held here, postponed.
//
// The backward of other layers does not need them; only the end of the step does. So they are queued, and computed
// while this worker would otherwise wait for other members (docs/decisions/0010).
// Segments of a layer arrive in any order. Once the layer is closed they are added in ascending microbatch, since that
// order is part of the result; between layers the order is free, as they share no sum, and the newest layer goes first:
// its operands are still in the cache. With a single-rank group, or with activation recompute on, gradients are
// accumulated immediately: there is nothing to wait for, or the queued segments would keep their activations in memory.
// One thread.
#pragma once

#include "moe/ops/expert.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/trace.hpp"
#include "moe/step/reduction.hpp"

#include <vector>

namespace regroup {

class WeightGradients {
 public:
  WeightGradients(const EpochView& view, Reduction& reduction, Trace* trace);

  // add() may be called in any order of microbatches; false: in ascending order only.
  [[nodiscard]] bool any_order() const { return postpones_; }
  // One segment of `unit`, of the layer that is not closed yet.
  void add(int unit, int microbatch, ops::ExpertBackward rest);
  // All segments of `layer` in this wave were added; none of an earlier wave may still be queued. `last`: all of this
  // step, so that its sums are complete once its queue is empty.
  void close(int layer, bool last);
  // Computes and adds one segment. False: the queue is empty.
  bool run_one();
  [[nodiscard]] int layers_waiting() const { return static_cast<int>(closed_.size()); }

 private:
  struct Segment {
    int unit = 0, microbatch = 0;
    ops::ExpertBackward rest;
  };
  struct Layer {
    int layer = 0;
    bool last = false;
    std::vector<Segment> segments;  // the next one at the back
  };
  void accumulate(Segment& segment);

  const EpochView& view_;
  Reduction& reduction_;
  Trace* trace_;
  const bool postpones_;
  std::vector<Segment> open_;
  std::vector<Layer> closed_;  // the newest at the back
};

}  // namespace regroup
