#include "layout/tree.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace regroup {
namespace {

// The canonical sum as text: "((0+1)+(2+3))".
std::string expression(int first, int end) {
  if (end - first == 1) return std::to_string(first);
  const int middle = (first + end) / 2;
  return "(" + expression(first, middle) + "+" + expression(middle, end) + ")";
}

// A stack of completed nodes with the values that joins_after_push joins.
class Joiner {
 public:
  void push(TreeNode node, std::string value) {
    values_.push_back(std::move(value));
    for (int joins = joins_after_push(nodes_, node); joins > 0; --joins) {
      const std::string right = values_.back();
      values_.pop_back();
      values_.back() = "(" + values_.back() + "+" + right + ")";
    }
  }
  [[nodiscard]] const std::vector<TreeNode>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<std::string>& values() const { return values_; }

 private:
  std::vector<TreeNode> nodes_;
  std::vector<std::string> values_;
};

// Groups cut at `cuts` join their leaves, one owner joins what they send, in ascending order.
std::string sum_over_groups(int num_chains, const std::vector<int>& cuts) {
  Joiner owner;
  int first = 0;
  for (std::size_t g = 0; g <= cuts.size(); ++g) {
    const int end = g < cuts.size() ? cuts[g] : num_chains;
    Joiner group;
    for (int chain = first; chain < end; ++chain) group.push({0, chain}, std::to_string(chain));
    EXPECT_EQ(group.nodes(), cover(first, end)) << first << ".." << end;
    for (std::size_t i = 0; i < group.nodes().size(); ++i) owner.push(group.nodes()[i], group.values()[i]);
    first = end;
  }
  EXPECT_EQ(owner.values().size(), 1u);
  return owner.values().empty() ? "" : owner.values().back();
}

TEST(Tree, every_cut_into_groups_gives_the_canonical_sum) {
  for (int num_chains : {1, 2, 4, 8, 16}) {
    const std::string canonical = expression(0, num_chains);
    for (unsigned bits = 0; bits < 1u << (num_chains - 1); ++bits) {
      std::vector<int> cuts;
      for (int c = 1; c < num_chains; ++c) {
        if (bits >> (c - 1) & 1) cuts.push_back(c);
      }
      ASSERT_EQ(sum_over_groups(num_chains, cuts), canonical) << num_chains << " chains, cut " << bits;
    }
  }
}

TEST(Tree, a_cover_is_exact_ascending_and_has_no_two_siblings) {
  for (int first = 0; first <= 64; ++first) {
    for (int end = first; end <= 64; ++end) {
      int next = first;
      TreeNode before{-1, -1};
      for (const TreeNode& node : cover(first, end)) {
        ASSERT_EQ(node.first(), next);
        next = node.end();
        ASSERT_FALSE(before.level == node.level && before.is_left() && before.index + 1 == node.index)
            << "siblings could be one node";
        before = node;
      }
      ASSERT_EQ(next, end);
    }
  }
}

}  // namespace
}  // namespace regroup
