#include "layout/tree.hpp"

#include "base/check.hpp"

namespace regroup {

std::vector<TreeNode> cover(int first, int end) {
  CHECK(first >= 0 && first <= end, "chains", first, end);
  std::vector<TreeNode> nodes;
  while (first < end) {
    int level = 0;
    while (first % (2 << level) == 0 && first + (2 << level) <= end) ++level;
    nodes.push_back({level, first >> level});
    first = nodes.back().end();
  }
  return nodes;
}

int joins_after_push(std::vector<TreeNode>& stack, TreeNode arrived) {
  CHECK(stack.empty() || stack.back().end() == arrived.first(), "node", arrived.level, arrived.index,
        "does not follow the stack's last");
  stack.push_back(arrived);
  int joins = 0;
  while (stack.size() >= 2) {
    const TreeNode right = stack[stack.size() - 1];
    const TreeNode left = stack[stack.size() - 2];
    if (left.level != right.level || !left.is_left() || right.index != left.index + 1) break;
    stack.pop_back();
    stack.back() = left.parent();
    ++joins;
  }
  return joins;
}

}  // namespace regroup
