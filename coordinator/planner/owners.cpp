#include "coordinator/planner/owners.hpp"

#include <cstddef>
#include <numeric>

namespace regroup::planning {
namespace {

// Sorts (item, member) pairs that are ascending by member so that they ascend by item, then member. A counting sort,
// because there may be millions of them.
std::vector<std::pair<int, int>> by_item(const std::vector<std::pair<int, int>>& by_member, int num_items) {
  std::vector<std::size_t> next(static_cast<std::size_t>(num_items) + 1);
  for (const auto& holder : by_member) ++next[static_cast<std::size_t>(holder.first) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<std::pair<int, int>> out(by_member.size());
  for (const auto& holder : by_member) out[next[static_cast<std::size_t>(holder.first)]++] = holder;
  return out;
}

}  // namespace

std::vector<int> choose_owners(const std::vector<std::pair<int, int>>& by_member, int num_items, int num_members) {
  const std::vector<std::pair<int, int>> holders = by_item(by_member, num_items);
  std::vector<int> owner(static_cast<std::size_t>(num_items), kNobody);
  std::vector<int> load(static_cast<std::size_t>(num_members));
  const auto each_item = [&](auto&& use) {
    for (std::size_t i = 0; i < holders.size();) {
      std::size_t end = i;
      while (end < holders.size() && holders[end].first == holders[i].first) ++end;
      use(holders[i].first, i, end);
      i = end;
    }
  };
  each_item([&](int item, std::size_t begin, std::size_t end) {
    if (end - begin > 1) return;
    owner[item] = holders[begin].second;
    ++load[owner[item]];
  });
  each_item([&](int item, std::size_t begin, std::size_t end) {
    if (end - begin == 1) return;
    for (std::size_t i = begin; i < end; ++i) {
      if (owner[item] == kNobody || load[holders[i].second] < load[owner[item]]) owner[item] = holders[i].second;
    }
    ++load[owner[item]];
  });
  return owner;
}

}  // namespace regroup::planning
