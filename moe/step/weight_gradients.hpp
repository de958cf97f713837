// weight_gradients.hpp: the weight gradients of experts held here. Nobody waits for them but the end of the step, so
// they fill the time in which this worker waits for others.
//
// A layer's segments come in any order and are added in ascending microbatch, as the order of sums wants, once the
// layer is closed; the newest layer first, whose operands are warm. Where nobody is waited for, or memory is saved
// (recompute), each is added when it comes instead. One thread. What waits here holds its segments' activations.
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

  // False: add() is called in ascending microbatch.
  [[nodiscard]] bool any_order() const { return waits_; }
  // One segment of `unit`, of the layer that is not closed yet.
  void add(int unit, int microbatch, ops::ExpertBackward rest);
  // No segment of that layer follows in this wave, and none of it waits from one before. `last`: nor in this step; its
  // sums are done with what waits now.
  void close(int layer, bool last);
  // Adds one segment. False: nothing waits.
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
  const bool waits_;
  std::vector<Segment> open_;
  std::vector<Layer> closed_;  // the newest at the back
};

}  // namespace regroup
