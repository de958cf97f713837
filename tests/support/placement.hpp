// placement.hpp: which rank keeps what, for groups of given sizes.
#pragma once

#include "api/job_spec.hpp"
#include "layout/placement.hpp"

#include <algorithm>
#include <vector>

namespace regroup::testing {

// The blocks of a dense unit: [member]. Equal parts, or (ragged) several uneven intervals each.
inline std::vector<IntervalSet> cut_dense(int members, bool ragged) {
  std::vector<IntervalSet> dense(static_cast<std::size_t>(members));
  if (!ragged) {
    for (int i = 0; i < members; ++i) {
      const Interval part{kBlocksPerUnit * i / members, kBlocksPerUnit * (i + 1) / members};
      if (part.size() > 0) dense[static_cast<std::size_t>(i)].add(part);
    }
    return dense;
  }
  int at = 0;
  for (int turn = 0; at < kBlocksPerUnit; ++turn) {
    const int width = std::min(kBlocksPerUnit - at, 11 + (turn * 37) % 53);
    dense[static_cast<std::size_t>((turn * 5 + 1) % members)].add({at, at + width});
    at += width;
  }
  return dense;
}

// Sizes of groups, e.g. {4, 3}: ranks in their order. Chains in proportion, experts round robin from `shift`.
inline Placement make_placement(const JobSpec& job, const std::vector<int>& group_sizes, int shift = 0,
                                bool ragged = false) {
  Placement placement;
  int total = 0, rank = 0, before = 0;
  for (const int size : group_sizes) total += size;
  for (std::size_t g = 0; g < group_sizes.size(); ++g) {
    Group group;
    const int size = group_sizes[g];
    for (int i = 0; i < size; ++i) group.ranks.push_back(Rank(rank++));
    group.first_chain = g == 0 ? 0 : placement.groups.back().end_chain;
    before += size;
    const int left = static_cast<int>(group_sizes.size() - g - 1);
    group.end_chain = g + 1 == group_sizes.size()
                          ? job.chains
                          : std::min(job.chains - left, std::max(group.first_chain + 1, job.chains * before / total));
    group.dense_blocks = cut_dense(size, ragged);
    const auto per_layer = static_cast<int>(job.model.num_local_experts) * job.model.expert_slices;
    for (int slot = 0; slot < static_cast<int>(job.model.num_sparse_layers()) * per_layer; ++slot)
      group.expert_member.push_back((slot + slot / per_layer + shift) % size);
    placement.groups.push_back(group);
  }
  return placement;
}

}  // namespace regroup::testing
