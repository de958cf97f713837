#include "layout/complete_copy.hpp"

#include <algorithm>
#include <cstddef>

namespace regroup {

bool complete_copy_remains(const Placement& placement, const std::vector<bool>& alive) {
  IntervalSet dense;
  std::vector<bool> experts;
  for (const Group& group : placement.groups) {
    const auto lives = [&](std::size_t member) {
      return alive.at(static_cast<std::size_t>(group.ranks.at(member).value));
    };
    for (std::size_t member = 0; member < group.ranks.size(); ++member) {
      if (lives(member)) dense = dense.unite(group.dense_blocks[member]);
    }
    experts.resize(group.expert_member.size());
    for (std::size_t slot = 0; slot < group.expert_member.size(); ++slot) {
      if (lives(static_cast<std::size_t>(group.expert_member[slot]))) experts[slot] = true;
    }
  }
  return dense.contains({0, kBlocksPerUnit}) &&
         std::all_of(experts.begin(), experts.end(), [](bool held) { return held; });
}

}  // namespace regroup
