// experts.hpp: expert-parallel dispatch and combine within one group: tokens go to the ranks that hold their experts,
// results come back, and gradients travel the same way. Dropless.
//
// A segment is the rows of one microbatch for one expert, in ascending token order. It goes once to each rank that
// holds a slice of the expert (a tensor-parallel shard). Each slice makes one GEMM call of its own of it and sends its
// own answer; the token's rank adds the answers in ascending slice, wherever they come from. For slices held here, the
// segments of this worker's own microbatch are used in place.
// Segments that have arrived are computed first; when none has, postponed weight gradients are (weight_gradients.hpp).
// One thread. Throws Interrupted; buffers of transfers under way stay alive in this object until the next begin_wave()
// or its end.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/ops/expert.hpp"
#include "moe/ops/router.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/shards.hpp"
#include "moe/state/tags.hpp"
#include "moe/state/trace.hpp"
#include "moe/step/reduction.hpp"
#include "moe/step/weight_gradients.hpp"

#include <functional>
#include <map>
#include <vector>

namespace regroup {

// kAgain: the forward that a layer's backward repeats, where recompute is full. kValidate: no backward follows.
enum class Pass { kTrain, kAgain, kValidate };

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
  [[nodiscard]] double seconds_waited() const { return seconds_waited_; }

 private:
  struct LayerState {
    std::vector<std::vector<std::int64_t>> counts;          // [member][expert]; empty for an idle member
    std::map<std::pair<int, int>, ops::ExpertSaved> saved;  // (member, unit held here)
  };
  struct Arriving {
    mesh::TransferPtr receive;
    at::Tensor rows;
  };
  // What the slices of one layer answer to this worker's rows.
  struct Answers {
    at::Tensor sum;   // [rows, hidden]: slice 0's, in the end all slices'
    at::Tensor more;  // [slices - 1, rows, hidden], undefined without
    std::vector<mesh::TransferPtr> receives;
    [[nodiscard]] at::Tensor of(int slice) const { return slice == 0 ? sum : more.select(0, slice - 1); }
  };
  // The rows of one member's microbatch for one expert.
  struct Segment {
    int member = 0, expert = 0;
  };
  using Arrivals = std::map<std::pair<int, int>, Arriving>;  // (member, expert)
  // Those that this worker computes in a layer, in ascending member.
  [[nodiscard]] std::vector<Segment> segments(int layer) const;
  // The one to compute next, its rows here; `in_order`: the first.
  Segment take_next(std::vector<Segment>& left, const Arrivals& arriving, bool in_order);
  [[nodiscard]] std::vector<int> slices_held(int layer, int expert) const;
  [[nodiscard]] std::int64_t index(int layer, int expert) const;
  [[nodiscard]] std::int64_t index(int layer, ExpertSlice slice) const;
  [[nodiscard]] bool active(int member) const { return microbatches_[static_cast<std::size_t>(member)] >= 0; }
  void exchange_counts(int layer, const ops::Routing* routing);
  // Sends this worker's rows of experts held elsewhere with `out`, posts receives of the others' rows of experts held
  // here.
  Arrivals trade_rows(int layer, const ops::Routing* routing, const at::Tensor& rows, TransferOp out);
  // Room for the answers to `rows`, and receives of those that come from elsewhere.
  Answers expect_answers(int layer, const ops::Routing* routing, const at::Tensor& rows, TransferOp back);
  // Waits for them and adds them.
  at::Tensor join(const Answers& answers);
  void send(int member, mesh::Tag tag, const at::Tensor& rows);
  void wait(const mesh::TransferPtr& transfer);
  void release_older(Pass pass);
  // Until no more than `most` layers' wait.
  void add_weight_gradients(int most);

  const EpochView& view_;
  mesh::Mesh& mesh_;
  WeightGradients weight_gradients_;
  std::function<void()> interrupt_;
  Trace* trace_;
  Step step_;
  int wave_ = 0;
  std::vector<int> microbatches_;  // of this wave, [member]
  std::vector<LayerState> layers_;
  std::vector<ops::ExpertWeights> weights_;  // [unit]; of experts held here
  struct Rounded {                           // bf16: the compute form of an expert held here
    ShardPtr shard;
    Floats buffer;
  };
  std::vector<Rounded> rounded_;
  at::Tensor more_;  // the answers of slices above 0, of one call at a time
  // older_: of the call before the last; released first where memory is saved
  std::vector<std::pair<mesh::TransferPtr, at::Tensor>> in_flight_, older_;
  double seconds_waited_ = 0;
};

}  // namespace regroup
