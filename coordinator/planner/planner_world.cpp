#include "coordinator/planner/planner_world.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace regroup::planning {

World make_world(const PlannerInput& input) {
  std::vector<const Candidate*> by_id;
  for (const Candidate& candidate : input.candidates) by_id.push_back(&candidate);
  std::sort(by_id.begin(), by_id.end(), [](const Candidate* a, const Candidate* b) { return a->worker < b->worker; });
  for (std::size_t i = 1; i < by_id.size(); ++i)
    CHECK(by_id[i - 1]->worker < by_id[i]->worker, "worker named twice:", to_string(by_id[i]->worker));

  const auto& old_members = input.previous != nullptr ? input.previous->members : std::vector<Participant>{};
  World world;
  std::vector<bool> survives(by_id.size());
  std::vector<int> new_rank(old_members.size(), -1);
  for (std::size_t old = 0; old < old_members.size(); ++old) {
    const auto found = std::lower_bound(by_id.begin(), by_id.end(), old_members[old].worker,
                                        [](const Candidate* c, const WorkerId& id) { return c->worker < id; });
    if (found == by_id.end() || (*found)->worker != old_members[old].worker) continue;
    survives[found - by_id.begin()] = true;
    new_rank[old] = world.size();
    world.workers.push_back(*found);
  }
  const auto first_newcomer = world.workers.size();
  for (std::size_t i = 0; i < by_id.size(); ++i) {
    if (!survives[i]) world.workers.push_back(by_id[i]);
  }
  // At a start, neighbours in rank form a group. Workers of one host or zone therefore get neighbouring ranks: when the
  // host or zone fails, few groups are broken.
  std::stable_sort(
      world.workers.begin() + static_cast<std::ptrdiff_t>(first_newcomer), world.workers.end(),
      [](const Candidate* a, const Candidate* b) { return std::tie(a->zone, a->host) < std::tie(b->zone, b->host); });

  world.old_group.assign(world.workers.size(), -1);
  world.old_member.assign(world.workers.size(), -1);
  world.kept.resize(world.workers.size());
  if (input.previous == nullptr) return world;
  std::vector<Kept> kept = kept_in(input.previous->placement, old_members.size());
  for (std::size_t old = 0; old < kept.size(); ++old) {
    if (new_rank[old] >= 0) world.kept[new_rank[old]] = std::move(kept[old]);
  }
  const auto& groups = input.previous->placement.groups;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t m = 0; m < groups[g].ranks.size(); ++m) {
      const int rank = new_rank.at(static_cast<std::size_t>(groups[g].ranks[m].value));
      if (rank < 0) continue;
      world.old_group[rank] = static_cast<int>(g);
      world.old_member[rank] = static_cast<int>(m);
    }
  }
  return world;
}

std::vector<const Kept*> kept_by(const World& world, const std::vector<int>& ranks) {
  std::vector<const Kept*> out;
  for (int rank : ranks) out.push_back(&world.kept[rank]);
  return out;
}

namespace {

// The old group with exactly these ranks as its members, in this order; null when there is none.
const Group* same_as_before(const World& world, const Plan* previous, const std::vector<int>& ranks) {
  const int g = world.old_group[ranks.front()];
  if (previous == nullptr || g < 0) return nullptr;
  const Group& old = previous->placement.groups[static_cast<std::size_t>(g)];
  if (old.ranks.size() != ranks.size()) return nullptr;
  for (std::size_t m = 0; m < ranks.size(); ++m) {
    if (world.old_group[ranks[m]] != g || world.old_member[ranks[m]] != static_cast<int>(m)) return nullptr;
  }
  return &old;
}

}  // namespace

std::vector<std::size_t> alike(const World& world, const Plan* previous, const std::vector<std::vector<int>>& groups) {
  std::vector<std::size_t> like(groups.size());
  std::map<std::size_t, std::size_t> empty;  // number of members -> the first that holds nothing
  const Group* last = nullptr;
  std::size_t like_last = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    like[g] = g;
    if (std::all_of(groups[g].begin(), groups[g].end(), [&](int rank) { return world.kept[rank].empty(); })) {
      like[g] = empty.try_emplace(groups[g].size(), g).first->second;
    } else if (const Group* old = same_as_before(world, previous, groups[g])) {
      const bool same =
          last != nullptr && last->dense_blocks == old->dense_blocks && last->expert_member == old->expert_member;
      if (!same) like_last = g;
      like[g] = like_last;
      last = old;
    }
  }
  return like;
}

}  // namespace regroup::planning
