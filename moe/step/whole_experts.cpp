#include "moe/step/whole_experts.hpp"

#include "base/digest.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <map>

namespace regroup {

const Unit& WholeExperts::unit(int layer, ExpertSlice slice) const {
  return view_.job
      ->units[static_cast<std::size_t>(expert_unit_index(view_.job->shape(), layer, slice.expert, slice.slice))];
}

std::vector<std::string> WholeExperts::digest_lines(Step step) {
  std::vector<std::string> lines;
  for (int layer = 0; layer < static_cast<int>(view_.job->shape().num_hidden_layers); ++layer) {
    if (view_.job->shape().is_sparse(layer)) add_layer(step, layer, lines);
  }
  return lines;
}

// A layer's transfers end before the next one's begin: then whatever comes first on a connection is waited for.
void WholeExperts::add_layer(Step step, int layer, std::vector<std::string>& lines) {
  const ModelShape& shape = view_.job->shape();
  std::map<int, const float*> flat;  // [unit] of the experts put together here
  std::vector<mesh::TransferPtr> transfers;
  arriving_.clear();
  for (int expert = 0; expert < static_cast<int>(shape.num_local_experts); ++expert) {
    const int to = view_.holder_of(layer, {expert, 0});
    for (int slice = 0; slice < shape.expert_slices; ++slice) {
      const Unit& part = unit(layer, {expert, slice});
      const int from = view_.holder_of(layer, {expert, slice});
      const mesh::Tag tag = make_tag(step, TransferOp::kDigest, 1 + part.index);
      if (from == view_.member) {
        const ShardPtr shard = store_.exactly(part.index, {0, kBlocksPerUnit});
        REGROUP_CHECK(shard != nullptr, "no shard of unit", part.index);
        if (to == view_.member)
          flat[part.index] = shard->master();
        else
          transfers.push_back(mesh_.send(view_.rank_of(to), tag, bytes_of(shard->master(), shard->numel())));
      } else if (to == view_.member) {
        arriving_.emplace_back(part.padded_numel());
        flat[part.index] = arriving_.back().data();
        transfers.push_back(
            mesh_.receive(view_.rank_of(from), tag, writable_bytes(arriving_.back().data(), arriving_.back().size())));
      }
    }
  }
  for (const mesh::TransferPtr& transfer : transfers) must(mesh_.wait(transfer));
  Floats whole;
  for (int expert = 0; expert < static_cast<int>(shape.num_local_experts); ++expert) {
    if (view_.holder_of(layer, {expert, 0}) != view_.member) continue;
    for (std::size_t t = 0; t < unit(layer, {expert, 0}).tensors.size(); ++t) {
      const TensorSpec& named = unit(layer, {expert, 0}).tensors[t];
      if (shape.expert_slices == 1) {
        lines.push_back(tensor_line(named.name, named.shape, flat.at(unit(layer, {expert, 0}).index) + named.offset));
        continue;
      }
      if (whole.size() != named.numel * shape.expert_slices) whole = Floats(named.numel * shape.expert_slices);
      for (int slice = 0; slice < shape.expert_slices; ++slice) {
        const Unit& part = unit(layer, {expert, slice});
        put_in_whole(part.tensors[t], flat.at(part.index) + part.tensors[t].offset, whole.data());
      }
      lines.push_back(tensor_line(named.name, named.whole.shape, whole.data()));
    }
  }
}

}  // namespace regroup
