#include "api/buddy.hpp"

#include <algorithm>

namespace regroup {

std::string buddy_of(const Plan& plan, const WorkerId& worker) {
  const auto node_of = [&](Rank rank) -> const NodeId& {
    return plan.members[static_cast<std::size_t>(rank.value)].worker.node;
  };
  for (const Group& group : plan.placement.groups) {
    const bool without_us =
        std::none_of(group.ranks.begin(), group.ranks.end(), [&](Rank rank) { return node_of(rank) == worker.node; });
    if (without_us) return "";
  }
  const auto self =
      std::find_if(plan.members.begin(), plan.members.end(), [&](const Participant& p) { return p.worker == worker; });
  if (self == plan.members.end()) return "";
  const auto position = static_cast<std::size_t>(self - plan.members.begin());
  for (std::size_t i = 1; i < plan.members.size(); ++i) {
    const Participant& next = plan.members[(position + i) % plan.members.size()];
    if (next.worker.node != worker.node) return next.agent_address;
  }
  return "";
}

}  // namespace regroup
