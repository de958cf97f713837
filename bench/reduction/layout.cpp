#include "bench/reduction/layout.hpp"

namespace regroup::bench {

Placement even_placement(const JobSpec& job, GroupsOf sizes) {
  Placement placement;
  const auto slots =
      static_cast<int>(job.model.num_sparse_layers() * job.model.num_local_experts) * job.model.expert_slices;
  for (int g = 0; g < sizes.groups; ++g) {
    Group group;
    group.first_chain = job.chains * g / sizes.groups;
    group.end_chain = job.chains * (g + 1) / sizes.groups;
    for (int member = 0; member < sizes.ranks; ++member) {
      group.ranks.push_back(Rank(g * sizes.ranks + member));
      group.dense_blocks.emplace_back();
      group.dense_blocks.back().add(
          {kBlocksPerUnit * member / sizes.ranks, kBlocksPerUnit * (member + 1) / sizes.ranks});
    }
    for (int slot = 0; slot < slots; ++slot) group.expert_member.push_back(slot % sizes.ranks);
    placement.groups.push_back(std::move(group));
  }
  return placement;
}

}  // namespace regroup::bench
