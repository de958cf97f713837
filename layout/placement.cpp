#include "layout/placement.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace regroup {
namespace {

int position(const std::vector<Rank>& ranks, Rank rank) {
  const auto found = std::lower_bound(ranks.begin(), ranks.end(), rank);
  return found != ranks.end() && *found == rank ? static_cast<int>(found - ranks.begin()) : -1;
}

}  // namespace

int Placement::num_ranks() const {
  std::size_t ranks = 0;
  for (const Group& group : groups) ranks += group.ranks.size();
  return static_cast<int>(ranks);
}

int Placement::group_of(Rank rank) const {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (position(groups[g].ranks, rank) >= 0) return static_cast<int>(g);
  }
  return -1;
}

int Placement::member_of(Rank rank) const {
  for (const Group& group : groups) {
    const int member = position(group.ranks, rank);
    if (member >= 0) return member;
  }
  return -1;
}

IntervalSet blocks_kept(const Placement& placement, const Unit& unit, const ModelShape& shape, Rank rank) {
  for (const Group& group : placement.groups) {
    const int member = position(group.ranks, rank);
    if (member < 0) continue;
    if (!unit.is_expert()) return group.dense_blocks.at(static_cast<std::size_t>(member));
    const std::int64_t slot =
        (shape.sparse_before(unit.layer) * shape.num_local_experts + unit.expert) * shape.expert_slices + unit.slice;
    if (group.expert_member.at(static_cast<std::size_t>(slot)) == member) return {{0, kBlocksPerUnit}};
    return {};
  }
  return {};
}

MicrobatchRange microbatches_of(const Group& group, int num_microbatches, int num_chains) {
  CHECK(num_chains > 0 && num_microbatches % num_chains == 0, "chains", num_chains, "of microbatches",
        num_microbatches);
  const int per_chain = num_microbatches / num_chains;
  return {group.first_chain * per_chain, group.end_chain * per_chain};
}

int num_waves(const Group& group, int num_microbatches, int num_chains) {
  const int members = static_cast<int>(group.ranks.size());
  CHECK(members > 0, "a group without ranks");
  return (microbatches_of(group, num_microbatches, num_chains).size() + members - 1) / members;
}

double heaviest_over_mean(const Group& group, const ModelShape& shape, const std::vector<std::int64_t>& expert_load) {
  double heaviest = 0, mean = 0;
  for (std::int64_t layer = 0; layer < shape.num_hidden_layers; ++layer) {
    if (!shape.is_sparse(layer)) continue;
    std::vector<double> tokens(group.ranks.size());
    auto slot = static_cast<std::size_t>(shape.sparse_before(layer) * shape.num_local_experts * shape.expert_slices);
    for (std::int64_t expert = 0; expert < shape.num_local_experts; ++expert) {
      const auto load =
          static_cast<double>(expert_load.at(static_cast<std::size_t>(layer * shape.num_local_experts + expert)));
      for (int slice = 0; slice < shape.expert_slices; ++slice)
        tokens.at(static_cast<std::size_t>(group.expert_member.at(slot++))) += load / shape.expert_slices;
      mean += load / static_cast<double>(tokens.size());
    }
    heaviest += *std::max_element(tokens.begin(), tokens.end());
  }
  return mean > 0 ? heaviest / mean : 1;
}

}  // namespace regroup
