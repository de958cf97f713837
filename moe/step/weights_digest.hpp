// weights_digest.hpp: the digest of each group's weights, which its members hold in shards. The same on every layout,
// and the same as that of a checkpoint of these weights. Groups hold the same weights, and this is how it is known.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/shards.hpp"
#include "moe/step/gather.hpp"
#include "moe/step/whole_experts.hpp"

#include <optional>
#include <string>
#include <vector>

namespace regroup {

// One thread. Keeps what its transfers may still touch: it lives until the mesh has entered the next epoch.
class WeightsDigest {
 public:
  WeightsDigest(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store)
      : view_(view), mesh_(mesh), store_(store) {}

  // [group] SHA-256 by the rule of base/digest.hpp of the weights after `step`. All members call it. `step_gather`: of
  // the compute forms, between two steps; null in a spare. Throws Interrupted.
  std::vector<std::string> make(Step step, DenseGather* step_gather);

 private:
  std::string of_own_group(Step tag_step, DenseGather& step_gather);
  [[nodiscard]] std::vector<std::string> gather_lines(Step tag_step, const std::vector<std::string>& mine) const;

  const EpochView& view_;
  mesh::Mesh& mesh_;
  const ShardStore& store_;
  std::vector<ComputeForm> flat_forms_;
  std::optional<DenseGather> flat_gather_;  // of the master weights, where the job computes in another precision
  std::optional<WholeExperts> whole_experts_;
};

}  // namespace regroup
