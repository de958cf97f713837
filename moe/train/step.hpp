// step.hpp: one training step of one worker in one epoch: forward, backward, reduce, vote, update. Holds everything that is derived from the plan.
//
// run() ends with a committed step, or throws Interrupted. After that the object stays as it is until the next epoch is settled: it may be asked what it had prepared, rolled
// forward, and keeps alive what transfers may still touch.
// One thread, under at::InferenceMode.
#pragma once

#include "agent/api/worker_protocol.hpp"
#include "mesh/mesh.hpp"
#include "moe/data/dataset.hpp"
#include "moe/train/epoch_view.hpp"
#include "moe/train/experts.hpp"
#include "moe/train/gather.hpp"
#include "moe/train/ops/attention.hpp"
#include "moe/train/ops/mlp.hpp"
#include "moe/train/ops/router.hpp"
#include "moe/train/reduction.hpp"
#include "moe/train/shards.hpp"
#include "moe/train/trace.hpp"
#include "moe/train/validation.hpp"
#include "moe/train/vote.hpp"
#include "moe/train/whole_experts.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace regroup {

struct StepHooks {
  std::function<void()> interrupt;              // throws Interrupted when a newer epoch wants to start now; called between operators
  std::function<std::uint64_t()> planned;       // newest epoch seen planned
  std::function<std::int64_t()> acked_snapshot;
  std::function<bool()> saving;                 // Vote::saving
  std::function<void()> before_update;          // whoever still reads the state must be done when it returns
  Trace* trace = nullptr;
};

class StepRunner {
 public:
  StepRunner(const EpochView& view, Mesh& mesh, ShardStore& store, const Dataset& data, const Dataset* validation_data, FloatPool& pool, StepHooks hooks,
             const BadSteps& bad);

  // Trains step `step` (the state is that of step - 1) and commits it. A bad one leaves weights and moments as they were.
  VoteRecord run(Step step, CommitReport& report);

  // The step whose reduced gradients this worker holds and has voted for without seeing all votes, if any.
  [[nodiscard]] std::optional<Step> prepared() const;
  // The loss on the validation set with the weights after `step`, which are this state's; changes nothing. All members call it.
  ValidationRecord validate(Step step);
  // Of the state's history, as the constructor was told, and since.
  [[nodiscard]] const BadSteps& bad() const { return bad_; }
  // Applies the prepared step. Not interruptible.
  void roll_forward(const VoteRecord& record);
  // SHA-256 of the weights by the digest's rule, the same on every member. All members call it.
  std::string weights_digest(Step step);

 private:
  struct LayerSaved {
    ops::AttentionSaved attention;
    ops::RouterSaved router;
    ops::MlpSaved mlp;
    ops::Routing routing;
    at::Tensor outputs;
    at::Tensor input;   // recompute: full; then the others are there only between the repeated forward and the backward
  };
  void run_wave(int wave);
  void load(const Dataset& data, std::int64_t first_sample);   // tokens and targets of a microbatch
  at::Tensor forward(Pass pass);
  // x -> the layer's output; fills `saved`. kAgain: before the backward, for `saved` alone, from the same input and with the same jitter.
  at::Tensor layer_forward(int layer, const at::Tensor& x, LayerSaved& saved, Pass pass);
  void backward(int wave, at::Tensor dx, std::int64_t targets);
  void serve(int wave);                              // idle in that wave: only the experts held here, and the others' leaves
  void serve_forward(Pass pass);
  void reduce(int dense_unit, int wave);             // adds the wave's leaves; after the last wave the unit's sums go to the siblings at once
  std::vector<MicrobatchLoss> validation_losses(Step name);
  [[nodiscard]] Vote make_vote() const;
  VoteRecord vote();
  void update(const VoteRecord& record);
  void point();                                      // progress and interruption
  [[nodiscard]] const Unit& unit(int index) const { return view_.job->units[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const ComputeForm& form(int index) const { return view_.job->forms[static_cast<std::size_t>(index)]; }
  [[nodiscard]] int head_unit() const { return static_cast<int>(view_.job->units.size()) - 1; }
  ops::DenseWeights dense(int layer);
  ops::HeadWeights head();
  ops::HeadWeights head_leaf();

  const EpochView& view_;
  Mesh& mesh_;
  ShardStore& store_;
  const Dataset& data_;
  const Dataset* validation_data_;
  StepHooks hooks_;
  BadSteps bad_;
  ops::Dims dims_;
  ops::Rope rope_;
  std::optional<DenseGather> gather_;                // spares have none of the three
  std::vector<ComputeForm> flat_forms_;
  std::optional<DenseGather> flat_gather_;           // of the master weights, for the digest of a job that computes in another precision
  std::optional<WholeExperts> whole_experts_;        // while the digest is made
  std::optional<Reduction> reduction_;
  std::optional<ExpertExchange> experts_;
  std::vector<LayerSaved> layers_;
  int microbatch_ = 0;                               // that is computed
  at::Tensor tokens_, targets_;
  std::vector<std::int64_t> documents_;              // of that microbatch: the tokens of each; empty unless they are separate
  ops::AuxStats aux_;
  Step step_;
  bool voted_ = false;
  std::vector<std::byte> vote_bytes_;
  std::vector<MicrobatchLoss> losses_;
  std::vector<std::int64_t> expert_load_;
  std::uint64_t progress_ = 0;
};

}  // namespace regroup
