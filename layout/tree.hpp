// tree.hpp: the one order in which chain sums are joined: a complete binary tree over C leaves (C a power of two).
// Pure.
//
// A node covers chains [index << level, (index + 1) << level). Value of a node = value(left child) + value(right
// child), in that order.
#pragma once

#include <compare>
#include <vector>

namespace regroup {

struct TreeNode {
  int level = 0;
  int index = 0;
  [[nodiscard]] int first() const { return index << level; }
  [[nodiscard]] int end() const { return (index + 1) << level; }
  [[nodiscard]] TreeNode parent() const { return {level + 1, index >> 1}; }
  [[nodiscard]] bool is_left() const { return (index & 1) == 0; }
  friend auto operator<=>(const TreeNode&, const TreeNode&) = default;
};

// The fewest nodes whose leaves are exactly [first, end), ascending by first leaf: what a group can complete by itself.
std::vector<TreeNode> cover(int first, int end);

// How a group or an owner joins values while leaves (or nodes) arrive in ascending order: after pushing `arrived` onto
// a stack of completed nodes, how many joins (top two into one) follow. Both the local and the final phase are this one
// rule.
int joins_after_push(std::vector<TreeNode>& stack, TreeNode arrived);

}  // namespace regroup
