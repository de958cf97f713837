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

std::vector<int> EpochView::microbatches(int wave) const {
  std::vector<int> of_members;
  for (int i = 0; i < group_size(); ++i) of_members.push_back(microbatch(wave, i));
  return of_members;
}

int EpochView::validation_waves() const {
  const int ranks = plan.placement.num_ranks();
  return (job->spec.validation.microbatches + ranks - 1) / ranks;
}

std::vector<int> EpochView::validation_microbatches(int wave) const {
  int first = wave * plan.placement.num_ranks();
  for (int g = 0; g < group_index; ++g) first += static_cast<int>(plan.placement.groups[static_cast<std::size_t>(g)].ranks.size());
  std::vector<int> of_members;
  for (int i = 0; i < group_size(); ++i) of_members.push_back(first + i < job->spec.validation.microbatches ? first + i : -1);
  return of_members;
}

int EpochView::holder_of(int layer, ExpertSlice slice) const {
  const auto& shape = job->shape();
  return group().expert_member[static_cast<std::size_t>((shape.sparse_before(layer) * shape.num_local_experts + slice.expert) * shape.expert_slices + slice.slice)];
}

std::vector<ExpertSlice> EpochView::slices_of(int layer, int member_index) const {
  std::vector<ExpertSlice> slices;
  for (int e = 0; e < static_cast<int>(job->shape().num_local_experts); ++e) {
    for (int s = 0; s < job->shape().expert_slices; ++s) {
      if (holder_of(layer, {e, s}) == member_index) slices.push_back({e, s});
    }
  }
  return slices;
}

std::vector<int> EpochView::holders_of(int layer, int expert) const {
  std::vector<int> holders;
  for (int s = 0; s < job->shape().expert_slices; ++s) holders.push_back(holder_of(layer, {expert, s}));
  std::sort(holders.begin(), holders.end());
  holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
  return holders;
}

double EpochView::heaviest_over_mean(const std::vector<std::int64_t>& expert_load) const {
  if (group_index < 0) return 1;
  const auto experts = static_cast<int>(job->shape().num_local_experts);
  const int num_slices = job->shape().expert_slices;
  double heaviest = 0, mean = 0;
  for (int layer = 0; layer < static_cast<int>(job->shape().num_hidden_layers); ++layer) {
    if (!job->shape().is_sparse(layer)) continue;
    std::vector<double> tokens(static_cast<std::size_t>(group_size()), 0);
    for (int expert = 0; expert < experts; ++expert) {
      const auto load = static_cast<double>(expert_load[static_cast<std::size_t>(layer * experts + expert)]);
      for (int slice = 0; slice < num_slices; ++slice) tokens[static_cast<std::size_t>(holder_of(layer, {expert, slice}))] += load / num_slices;
      mean += load / group_size();
    }
    heaviest += *std::max_element(tokens.begin(), tokens.end());
  }
  return mean > 0 ? heaviest / mean : 1;
}

}  // namespace regroup
