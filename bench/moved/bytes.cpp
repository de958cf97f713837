#include "bench/moved/bytes.hpp"

#include "coordinator/core/group_layout.hpp"

#include <algorithm>
#include <set>

namespace regroup::bench {
namespace {

using namespace planning;

constexpr std::int64_t kBytesPerElement = 3 * sizeof(float);   // master and two moments

std::map<WorkerId, Kept> kept_in(const Plan& plan) {
  std::map<WorkerId, Kept> kept;
  for (const Group& group : plan.placement.groups) {
    const auto worker_of = [&](std::size_t member) -> const WorkerId& { return plan.members[static_cast<std::size_t>(group.ranks[member].value)].worker; };
    for (std::size_t member = 0; member < group.ranks.size(); ++member) kept[worker_of(member)].dense = group.dense_blocks[member];
    for (std::size_t slot = 0; slot < group.expert_member.size(); ++slot) kept[worker_of(static_cast<std::size_t>(group.expert_member[slot]))].experts.push_back(static_cast<int>(slot));
  }
  return kept;
}

}  // namespace

std::int64_t fewest_bytes(const JobSpec& job, const Plan& before, const Plan& after) {
  const StateShape shape = make_state_shape(job.model);
  const auto held = kept_in(before);
  const Kept nothing;
  std::int64_t elements = 0;
  for (const Group& group : after.placement.groups) {
    std::vector<const Kept*> members;
    for (const Rank rank : group.ranks) {
      const auto found = held.find(after.members[static_cast<std::size_t>(rank.value)].worker);
      members.push_back(found == held.end() ? &nothing : &found->second);
    }
    elements += fewest_elements_to_move(shape, members);
  }
  return elements * kBytesPerElement;
}

std::map<std::string, MovedBytes> moved_by_cause(const JobSpec& job, const std::vector<RegroupRecord>& regroups, const std::map<Epoch, Plan>& plans) {
  std::set<Epoch> in_force;
  for (const RegroupRecord& regroup : regroups) in_force.insert(regroup.epoch);
  std::map<std::string, MovedBytes> out;
  for (const RegroupRecord& regroup : regroups) {
    const auto after = plans.find(regroup.epoch);
    if (after == plans.end() || !in_force.contains(after->second.parent)) continue;
    const auto before = plans.find(after->second.parent);
    if (before == plans.end()) continue;
    MovedBytes one{1, regroup.bytes_moved - regroup.bytes_from_own_agents, regroup.bytes_from_own_agents, fewest_bytes(job, before->second, after->second)};
    MovedBytes& all = out[regroup.cause];
    all.worst = std::max(all.worst, one.ratio());
    ++all.regroups;
    all.moved += one.moved;
    all.from_own_agents += one.from_own_agents;
    all.bound += one.bound;
  }
  return out;
}

}  // namespace regroup::bench
