#include "layout/complete_copy.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

// Two groups of two ranks, four experts. The second one's members have the halves the other way round.
Placement two_copies() {
  const IntervalSet front{{0, 128}};
  const IntervalSet back{{128, kBlocksPerUnit}};
  Placement placement;
  placement.groups.push_back({{Rank(0), Rank(1)}, {front, back}, {0, 0, 1, 1}, 0, 1});
  placement.groups.push_back({{Rank(2), Rank(3)}, {back, front}, {1, 1, 0, 0}, 1, 2});
  return placement;
}

TEST(CompleteCopy, remains_while_one_group_is_whole) {
  EXPECT_TRUE(complete_copy_remains(two_copies(), {true, true, true, true}));
  EXPECT_TRUE(complete_copy_remains(two_copies(), {false, false, true, true}));
}

TEST(CompleteCopy, remains_in_halves_of_two_broken_groups) {
  EXPECT_TRUE(complete_copy_remains(two_copies(), {false, true, false, true}));
  EXPECT_TRUE(complete_copy_remains(two_copies(), {true, false, true, false}));
}

TEST(CompleteCopy, is_gone_with_both_owners_of_the_same_half) {
  EXPECT_FALSE(complete_copy_remains(two_copies(), {false, true, true, false}));
}

TEST(CompleteCopy, is_gone_with_the_last_owner_of_one_expert) {
  Placement placement = two_copies();
  placement.groups[1].expert_member = {1, 1, 1, 0};  // rank 3 keeps expert 2 as well
  EXPECT_TRUE(complete_copy_remains(placement, {false, true, false, true}));
  placement.groups[1].expert_member = {0, 1, 0, 0};  // rank 2 keeps expert 0, as rank 0 did
  EXPECT_FALSE(complete_copy_remains(placement, {false, true, false, true}));
}

TEST(CompleteCopy, a_placement_without_groups_holds_nothing) { EXPECT_FALSE(complete_copy_remains({}, {true})); }

}  // namespace
}  // namespace regroup
