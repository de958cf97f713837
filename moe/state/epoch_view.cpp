#include "moe/state/epoch_view.hpp"

#include <algorithm>

namespace regroup {

std::optional<Rank> rank_in(const Plan& plan, const WorkerId& worker) {
  const auto is_self = [&](const Participant& participant) { return participant.worker == worker; };
  const auto member = std::find_if(plan.members.begin(), plan.members.end(), is_self);
  if (member != plan.members.end()) return Rank(static_cast<int>(member - plan.members.begin()));
  const auto donor = std::find_if(plan.donors.begin(), plan.donors.end(), is_self);
  if (donor != plan.donors.end())
    return Rank(static_cast<int>(plan.members.size() + static_cast<std::size_t>(donor - plan.donors.begin())));
  return std::nullopt;
}

EpochView::EpochView(const JobConstants& constants, Plan p, Rank rank)
    : job(&constants), plan(std::move(p)), self(rank) {
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
  for (int g = 0; g < group_index; ++g)
    first += static_cast<int>(plan.placement.groups[static_cast<std::size_t>(g)].ranks.size());
  std::vector<int> of_members;
  for (int i = 0; i < group_size(); ++i)
    of_members.push_back(first + i < job->spec.validation.microbatches ? first + i : -1);
  return of_members;
}

int EpochView::holder_of(int layer, ExpertSlice slice) const {
  const auto& shape = job->shape();
  return group().expert_member[static_cast<std::size_t>(
      (shape.sparse_before(layer) * shape.num_local_experts + slice.expert) * shape.expert_slices + slice.slice)];
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

}  // namespace regroup
