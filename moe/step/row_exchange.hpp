// row_exchange.hpp: the transfers of the experts' exchange: counts of rows, rows to the experts' holders, answers back.
//
// What is computed of the rows is the caller's (experts.hpp). One thread. Throws Interrupted; buffers of transfers
// under way stay alive in this object until the next begin_wave() or its end.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/ops/router.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/tags.hpp"
#include "moe/state/trace.hpp"

#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace regroup {

// kAgain: the forward that a layer's backward repeats, where recompute is full. kValidate: no backward follows.
enum class Pass { kTrain, kAgain, kValidate };

// The rows of one expert.
at::Tensor segment_of(const at::Tensor& rows, const ops::Routing& routing, int expert);

class RowExchange {
 public:
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
  using Arrivals = std::map<std::pair<int, int>, Arriving>;  // (member, expert)

  // `meanwhile` does a piece of other work while a transfer is awaited; false: there is none.
  RowExchange(const EpochView& view, mesh::Mesh& mesh, std::function<bool()> meanwhile, Trace* trace);

  void begin_step(Step step);
  void begin_wave(int wave, std::vector<int> microbatches);  // [member]; -1: idle
  [[nodiscard]] int wave() const { return wave_; }
  [[nodiscard]] int microbatch(int member) const { return microbatches_[static_cast<std::size_t>(member)]; }
  [[nodiscard]] bool active(int member) const { return microbatch(member) >= 0; }
  // Before each call: where memory is saved, waits for the transfers of the call before the last and lets them go.
  void release_older(Pass pass);
  void exchange_counts(int layer, const ops::Routing* routing);
  // Rows of an active member's microbatch for one expert.
  [[nodiscard]] std::int64_t count(int layer, int member, int expert) const {
    return counts_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(member)][static_cast<std::size_t>(expert)];
  }
  // Sends this worker's rows of experts held elsewhere with `out`, posts receives of the others' rows of experts held
  // here.
  Arrivals trade(int layer, const ops::Routing* routing, const at::Tensor& rows, TransferOp out);
  [[nodiscard]] bool has_come(const Arriving& arriving) const { return mesh_.ready(arriving.receive); }
  void wait(const mesh::TransferPtr& transfer);
  void answer(int member, TransferOp back, int layer, ExpertSlice slice, const at::Tensor& rows) {
    send(member, make_tag(step_, back, index(layer, slice)), rows);
  }
  // Room for the answers to `rows`, and receives of those that come from elsewhere.
  Answers expect_answers(int layer, const ops::Routing* routing, const at::Tensor& rows, TransferOp back);
  // Waits for them and adds them.
  at::Tensor join(const Answers& answers);
  void end_wave();  // every send of the wave has left
  [[nodiscard]] double seconds_waited() const { return seconds_waited_; }

 private:
  [[nodiscard]] std::int64_t index(int layer, int expert) const;
  [[nodiscard]] std::int64_t index(int layer, ExpertSlice slice) const;
  void send(int member, mesh::Tag tag, const at::Tensor& rows);

  const EpochView& view_;
  mesh::Mesh& mesh_;
  std::function<bool()> meanwhile_;
  Trace* trace_;
  Step step_;
  int wave_ = 0;
  std::vector<int> microbatches_;                               // of this wave, [member]
  std::vector<std::vector<std::vector<std::int64_t>>> counts_;  // [layer][member][expert]; empty for an idle member
  at::Tensor more_;                                             // the answers of slices above 0, of one call at a time
  // older_: of the call before the last; released first where memory is saved
  std::vector<std::pair<mesh::TransferPtr, at::Tensor>> in_flight_, older_;
  double seconds_waited_ = 0;
};

}  // namespace regroup
