#include "checkpoint/core/replicas.hpp"

#include "layout/units.hpp"

#include <map>
#include <set>
#include <string>

namespace regroup::checkpoint {

Result<void> check_replicas(std::span<const PartRecord> parts) {
  std::set<int> unknown;
  for (const PartRecord& part : parts)
    if (!part.holds) unknown.insert(part.group);
  std::map<int, std::map<int, std::uint64_t>> sums;  // [unit][group]
  for (const PartRecord& part : parts) {
    if (unknown.contains(part.group)) continue;
    for (const UnitSum& held : *part.holds) sums[held.unit][part.group] += held.sum;
  }
  for (const auto& [unit, groups] : sums) {
    const auto& [first, sum] = *groups.begin();
    for (const auto& [group, other] : groups) {
      if (other == sum) continue;
      const CheckpointInfo& info = parts.front().info;
      const std::vector<Unit> units = make_units(info.shape);
      const bool known = unit >= 0 && unit < static_cast<int>(units.size());
      return Error{Code::kCorrupt,
                   "after step " + std::to_string(info.step.value) + " the groups " + std::to_string(first) + " and " +
                       std::to_string(group) + " hold different states in unit " + std::to_string(unit) + " (" +
                       (known ? units[static_cast<std::size_t>(unit)].tensors.front().name : "unknown") +
                       "): a machine of one of them computes or keeps it wrongly"};
    }
  }
  return {};
}

}  // namespace regroup::checkpoint
