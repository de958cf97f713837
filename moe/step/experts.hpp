// experts.hpp: expert-parallel dispatch and combine within one group: tokens go to the ranks that hold their experts,
// results come back, and gradients travel the same way. Dropless.
//
// A segment is the rows of one microbatch for one expert, in ascending token order. It goes once to each rank that
// holds a slice of the expert (a tensor-parallel shard). Each slice makes one GEMM call of its own of it and sends its
// own answer; the token's rank adds the answers in ascending slice, wherever they come from. For slices held here, the
// segments of this worker's own microbatch are used in place.
// Segments that have arrived are computed first; when none has, postponed weight gradients are (weight_gradients.hpp).
// One thread. Throws Interrupted; keep the object until its transfers have ended (row_exchange.hpp).
#pragma once

#include "mesh/mesh.hpp"
#include "moe/ops/expert.hpp"
#include "moe/ops/router.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/shards.hpp"
#include "moe/state/trace.hpp"
#include "moe/step/reduction.hpp"
#include "moe/step/row_exchange.hpp"
#include "moe/step/weight_gradients.hpp"

#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace regroup {

class ExpertExchange {
 public:
  // `interrupt` throws Interrupted when a newer epoch asks for it; called between segments.
  ExpertExchange(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, Reduction& reduction,
                 std::function<void()> interrupt, Trace* trace = nullptr);

  // The masters are those of the step now: makes the weights that this step computes with.
  void begin_step(Step step);
  void begin_wave(int wave, std::vector<int> microbatches);  // [member]; -1: idle
  // Outputs in row order [N * K, hidden] for the microbatch that this worker computes, or an undefined tensor when it
  // is idle (`routing` null then).
  at::Tensor forward(int layer, const ops::Routing* routing, Pass pass);
  // dy_rows as forward's result -> gradient of the dispatched rows. Adds the weight gradients of the experts held here.
  at::Tensor backward(int layer, const ops::Routing* routing, const at::Tensor& dy_rows);
  // Every send of the wave has left; after the last wave also every weight gradient is added.
  void end_wave();
  [[nodiscard]] double seconds_waited() const { return rows_.seconds_waited(); }

 private:
  using Saved = std::map<std::pair<int, int>, ops::ExpertSaved>;  // (member, unit held here)
  // The rows of one member's microbatch for one expert.
  struct Segment {
    int member = 0, expert = 0;
  };
  // Those that this worker computes in a layer, in ascending member.
  [[nodiscard]] std::vector<Segment> segments(int layer) const;
  // The one to compute next, its rows here; `in_order`: the first.
  Segment take_next(std::vector<Segment>& left, const RowExchange::Arrivals& arriving, bool in_order);
  [[nodiscard]] std::vector<int> slices_held(int layer, int expert) const;
  // Until no more than `most` layers' wait.
  void add_weight_gradients(int most);

  const EpochView& view_;
  WeightGradients weight_gradients_;
  std::function<void()> interrupt_;
  RowExchange rows_;
  std::vector<Saved> saved_;                 // [layer]
  std::vector<ops::ExpertWeights> weights_;  // [unit]; of experts held here
  struct Rounded {                           // bf16: the compute form of an expert held here
    ShardPtr shard;
    Floats buffer;
  };
  std::vector<Rounded> rounded_;
};

}  // namespace regroup
