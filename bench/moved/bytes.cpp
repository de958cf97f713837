#include "bench/moved/bytes.hpp"

#include "coordinator/planner/group_layout.hpp"

#include <algorithm>
#include <set>

namespace regroup::bench {

using namespace planning;

std::int64_t fewest_bytes(const JobSpec& job, const Plan& before, const Plan& after) {
  const StateShape shape = make_state_shape(job.model);
  const std::vector<Kept> kept = kept_in(before.placement, before.members.size());
  std::map<WorkerId, const Kept*> held;
  for (std::size_t rank = 0; rank < kept.size(); ++rank) held[before.members[rank].worker] = &kept[rank];
  const Kept nothing;
  std::int64_t elements = 0;
  for (const Group& group : after.placement.groups) {
    std::vector<const Kept*> members;
    for (const Rank rank : group.ranks) {
      const auto found = held.find(after.members[static_cast<std::size_t>(rank.value)].worker);
      members.push_back(found == held.end() ? &nothing : found->second);
    }
    elements += fewest_elements_to_move(shape, members);
  }
  return elements * kStateBytesPerElement;
}

std::map<std::string, MovedBytes> moved_by_cause(const JobSpec& job, const std::vector<cli::RegroupRecord>& regroups,
                                                 const std::map<Epoch, Plan>& plans) {
  std::set<Epoch> in_force;
  for (const cli::RegroupRecord& regroup : regroups) in_force.insert(regroup.epoch);
  std::map<std::string, MovedBytes> out;
  for (const cli::RegroupRecord& regroup : regroups) {
    const auto after = plans.find(regroup.epoch);
    if (after == plans.end() || !in_force.contains(after->second.parent)) continue;
    const auto before = plans.find(after->second.parent);
    if (before == plans.end()) continue;
    MovedBytes one{1, regroup.bytes_moved - regroup.bytes_from_own_agents, regroup.bytes_from_own_agents,
                   fewest_bytes(job, before->second, after->second)};
    MovedBytes& all = out[kCauseWords(regroup.cause)];
    all.worst = std::max(all.worst, one.ratio());
    ++all.regroups;
    all.moved += one.moved;
    all.from_own_agents += one.from_own_agents;
    all.bound += one.bound;
  }
  return out;
}

}  // namespace regroup::bench
