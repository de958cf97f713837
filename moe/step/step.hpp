// step.hpp: one training step of one worker in one epoch: forward, backward, reduce, vote, update. Holds everything
// that is derived from the plan.
//
// run() ends with a committed step, or throws Interrupted. Then keep the object until the next epoch is settled:
// transfers may still touch its buffers, and a step that it has voted for can still be committed (prepared()). One
// thread, under at::InferenceMode.
#pragma once

#include "api/worker_protocol.hpp"
#include "mesh/mesh.hpp"
#include "moe/data/dataset.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/prepared.hpp"
#include "moe/state/shards.hpp"
#include "moe/state/trace.hpp"
#include "moe/state/validation.hpp"
#include "moe/state/vote.hpp"
#include "moe/step/experts.hpp"
#include "moe/step/gather.hpp"
#include "moe/step/model.hpp"
#include "moe/step/reduction.hpp"
#include "moe/step/weights_digest.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace regroup {

struct StepHooks {
  // throws Interrupted when a newer epoch wants to start now; called between operators
  std::function<void()> interrupt;
  std::function<std::uint64_t()> planned;  // newest epoch seen planned
  std::function<SnapshotVote()> snapshot;  // Vote::snapshot
  std::function<bool()> saving;            // Vote::saving
  std::function<void()> before_update;     // returns when nobody reads the state any more
  Trace* trace = nullptr;
};

class StepRunner {
 public:
  StepRunner(const EpochView& view, mesh::Mesh& mesh, ShardStore& store, const Dataset& data,
             const Dataset* validation_data, FloatPool& pool, StepHooks hooks, const BadSteps& bad);

  // Trains step `step` (the state is that of step - 1) and commits it. A bad one leaves weights and moments as they
  // were.
  VoteRecord run(Step step, CommitReport& report);

  // What it returns refers to this object.
  [[nodiscard]] Prepared prepared();
  // The loss on the validation set with the weights after `step`, which are this state's; changes nothing. All members
  // call it.
  ValidationRecord validate(Step step);
  // Those that the constructor was given, and those since.
  [[nodiscard]] const BadSteps& bad() const { return bad_; }
  // Of the weights after `step`, which are this state's. All members call it.
  std::vector<std::string> weights_digest(Step step);

 private:
  void run_wave(int wave);
  std::vector<MicrobatchLoss> validation_losses(Step name);
  [[nodiscard]] Vote make_vote() const;
  VoteRecord vote();
  void update(const VoteRecord& record);
  void point();  // progress and interruption
  [[nodiscard]] const Unit& unit(int index) const { return view_.job->units[static_cast<std::size_t>(index)]; }

  const EpochView& view_;
  mesh::Mesh& mesh_;
  ShardStore& store_;
  const Dataset& data_;
  const Dataset* validation_data_;
  StepHooks hooks_;
  BadSteps bad_;
  std::optional<DenseGather> gather_;  // spares have none of the four
  std::optional<Reduction> reduction_;
  std::optional<ExpertExchange> experts_;
  std::optional<Model> model_;
  WeightsDigest weights_digest_;
  Step step_;
  bool voted_ = false;
  std::vector<std::byte> vote_bytes_;
  std::vector<MicrobatchLoss> losses_;
  std::vector<std::int64_t> expert_load_;
  std::uint64_t progress_ = 0;
};

}  // namespace regroup
