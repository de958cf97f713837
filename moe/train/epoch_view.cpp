#include "moe/train/epoch_view.hpp"

#include <algorithm>

namespace regroup {

EpochView::EpochView(const JobView& job_view, Plan p, Rank rank) : job(&job_view), plan(std::move(p)), self(rank) {
  if (!is_donor()) {
    group_index = plan.placement.group_of(self);
    member = plan.placement.member_of(self);
  }
}

std::vector<Rank> EpochView::member_ranks() const {
  std::vector<Rank> ranks;
  for (int i = 0; i < static_cast<int>(plan.members.size()); ++i) ranks.push_back(Rank(i));
  return ranks;
}

std::vector<Rank> EpochView::participant_ranks() const {
  std::vector<Rank> ranks;
  for (int i = 0; i < static_cast<int>(plan.members.size() + plan.donors.size()); ++i) ranks.push_back(Rank(i));
  return ranks;
}

IntervalSet EpochView::kept(int unit, Rank rank) const {
  return blocks_kept(plan.placement, job->units[static_cast<std::size_t>(unit)], job->shape(), rank);
}

int EpochView::waves() const { return num_waves(group(), job->spec.microbatches, job->spec.chains); }

int EpochView::microbatch(int wave, int member_index) const {
  const MicrobatchRange range = microbatches_of(group(), job->spec.microbatches, job->spec.chains);
  const int index = range.first + wave * group_size() + member_index;
  return index < range.end ? index : -1;
}

int EpochView::holder_of(int layer, int expert) const {
  const auto& shape = job->shape();
  return group().expert_member[static_cast<std::size_t>((shape.sparse_before(layer) * shape.num_local_experts + expert) * shape.expert_slices)];
}

std::vector<int> EpochView::experts_of(int layer, int member_index) const {
  std::vector<int> experts;
  for (int e = 0; e < static_cast<int>(job->shape().num_local_experts); ++e) {
    if (holder_of(layer, e) == member_index) experts.push_back(e);
  }
  return experts;
}

double EpochView::heaviest_over_mean(const std::vector<std::int64_t>& expert_load) const {
  if (group_index < 0) return 1;
  std::vector<double> tokens(static_cast<std::size_t>(group_size()), 0);
  double sum = 0;
  const auto experts = static_cast<std::size_t>(job->shape().num_local_experts);
  for (std::size_t i = 0; i < expert_load.size(); ++i) {
    const auto load = static_cast<double>(expert_load[i]);
    tokens[static_cast<std::size_t>(holder_of(static_cast<int>(i / experts), static_cast<int>(i % experts)))] += load;
    sum += load;
  }
  return sum > 0 ? *std::max_element(tokens.begin(), tokens.end()) * static_cast<double>(tokens.size()) / sum : 1;
}

}  // namespace regroup
