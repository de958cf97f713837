// gather.hpp: the all-gather of the dense units' weights from their owners, before use (a unit is what FSDP calls one).
//
// begin() posts every receive of the step and sends this worker's shards, in the order of use; the transport moves them
// while the first units compute, so weights() of a later unit seldom waits. Owners round to the compute form before
// they send. Gathered weights stay until end(): backward uses them again (docs/decisions/0001). In fp32 a worker that
// keeps a whole unit computes on its master weights directly.
// One thread. Throws Interrupted.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/floats.hpp"
#include "moe/state/shards.hpp"
#include "moe/state/trace.hpp"

#include <vector>

namespace regroup {

class DenseGather {
 public:
  // `forms` [unit] must outlive it.
  DenseGather(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, const std::vector<ComputeForm>& forms,
              Trace* trace = nullptr);
  void begin(Step step);
  std::byte* weights(int unit);  // in its compute form, 64-byte aligned
  void end();                    // every send has left: the masters may change
  [[nodiscard]] double seconds_waited() const { return seconds_waited_; }

 private:
  struct Gathered {
    Floats buffer;  // empty when `base` is this worker's own master weights
    std::byte* base = nullptr;
    std::vector<mesh::TransferPtr> receives;
  };
  const EpochView& view_;
  mesh::Mesh& mesh_;
  const ShardStore& store_;
  const std::vector<ComputeForm>& forms_;
  Trace* trace_;
  std::vector<Gathered> gathered_;  // [unit]; experts stay empty
  std::vector<mesh::TransferPtr> sends_;
  double seconds_waited_ = 0;
};

}  // namespace regroup
