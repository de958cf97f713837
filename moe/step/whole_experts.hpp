// whole_experts.hpp: the experts' Hugging Face tensors, put together from slices on several ranks, for the digest of
// the weights. The worker's main thread.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/shards.hpp"

#include <string>
#include <vector>

namespace regroup {

// A line of the weights digest for each tensor of the experts of which this member holds slice 0: the other slices come
// to it, one layer at a time. All members of the group call it; `step` names the transfers. Throws Interrupted; then
// the mesh must enter the next epoch before the store goes.
class WholeExperts {
 public:
  WholeExperts(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store)
      : view_(view), mesh_(mesh), store_(store) {}
  std::vector<std::string> digest_lines(Step step);

 private:
  void add_layer(Step step, int layer, std::vector<std::string>& lines);
  [[nodiscard]] const Unit& unit(int layer, ExpertSlice slice) const;

  const EpochView& view_;
  mesh::Mesh& mesh_;
  const ShardStore& store_;
  std::vector<Floats> arriving_;  // of the layer under way
};

}  // namespace regroup
