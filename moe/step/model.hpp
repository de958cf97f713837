// model.hpp: forward and backward of the whole model over one microbatch, layer by layer: the schedule of operators and
// of what they exchange.
//
// Dense weights come from the all-gather; tokens go through the experts' exchange; each unit's gradients go to the
// reduction as soon as backward has made them, and those that other members sent are added between two layers. A member
// without a microbatch in a wave serves: it makes the same calls of exchange and reduction, in the same order, without
// operators of its own. One thread, under at::InferenceMode. Throws Interrupted.
#pragma once

#include "moe/data/dataset.hpp"
#include "moe/ops/attention.hpp"
#include "moe/ops/mlp.hpp"
#include "moe/ops/router.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/trace.hpp"
#include "moe/state/vote.hpp"
#include "moe/step/experts.hpp"
#include "moe/step/gather.hpp"
#include "moe/step/reduction.hpp"

#include <functional>
#include <vector>

namespace regroup {

class Model {
 public:
  // `point` is called between operators: it tells of progress, and throws Interrupted when a newer epoch wants to start
  // now. The others must outlive this.
  Model(const EpochView& view, DenseGather& gather, ExpertExchange& experts, Reduction& reduction,
        std::function<void()> point, Trace* trace = nullptr);

  // A microbatch of `step`, forward and backward. Adds to `expert_load` [layer * experts + expert] how many of its
  // tokens went to each.
  MicrobatchLoss train(Step step, int wave, int microbatch, const Dataset& data,
                       std::vector<std::int64_t>& expert_load);
  void serve(int wave);  // idle in that wave: only the experts held here, and the others' leaves
  // The loss alone, with what no step remembers: no jitter, no balance, no loads.
  MicrobatchLoss validate(int microbatch, const Dataset& data);
  void serve_validation() { serve_forward(Pass::kValidate); }

 private:
  struct LayerSaved {
    ops::AttentionSaved attention;
    ops::RouterSaved router;
    ops::MlpSaved mlp;
    ops::Routing routing;
    at::Tensor outputs;
    at::Tensor input;  // recompute: full; then the others are there only between the repeated forward and the backward
  };
  void load(const Dataset& data, std::int64_t first_sample);              // tokens and targets of a microbatch
  at::Tensor forward(Pass pass, std::vector<std::int64_t>* expert_load);  // which kTrain alone counts
  // x -> the layer's output; fills `saved`. kAgain: before the backward, for `saved` alone, from the same input and
  // with the same jitter.
  at::Tensor layer_forward(int layer, const at::Tensor& x, LayerSaved& saved, Pass pass);
  void backward(int wave, at::Tensor dx, std::int64_t targets);
  void serve_forward(Pass pass);
  // adds the wave's leaves; after the last wave the unit's sums go to the siblings at once
  void reduce(int dense_unit, int wave);
  [[nodiscard]] const Unit& unit(int index) const { return view_.job->units[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const ComputeForm& form(int index) const { return view_.job->forms[static_cast<std::size_t>(index)]; }
  [[nodiscard]] int head_unit() const { return static_cast<int>(view_.job->units.size()) - 1; }
  ops::DenseWeights dense(int layer);
  ops::HeadWeights head();
  ops::HeadWeights head_leaf();

  const EpochView& view_;
  DenseGather& gather_;
  ExpertExchange& experts_;
  Reduction& reduction_;
  std::function<void()> point_;
  Trace* trace_;
  ops::Dims dims_;
  ops::Rope rope_;
  std::vector<LayerSaved> layers_;
  Step step_;
  int microbatch_ = 0;  // that is computed
  at::Tensor tokens_, targets_;
  std::vector<std::int64_t> documents_;  // of that microbatch: the tokens of each; empty unless they are separate
  ops::AuxStats aux_;
};

}  // namespace regroup
