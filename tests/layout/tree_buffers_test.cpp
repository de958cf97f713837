// How many gradients of its share a member holds while the tree is summed, situation by situation.
#include "coordinator/planner/tree_buffers.hpp"

#include "tests/layout/planner_world.hpp"

#include <gtest/gtest.h>

namespace regroup::planning {
namespace {

TreeBuffers buffers(int chains, int microbatches, int members, int groups = 1) {
  JobSpec job = testing::planner_job(1, 4, groups);
  job.chains = chains;
  job.microbatches = microbatches;
  return tree_buffers(job, members, groups);
}

void expect(const TreeBuffers& found, int of_all, int of_dense, int at_work) {
  EXPECT_EQ(found.of_all, of_all);
  EXPECT_EQ(found.of_dense, of_dense);
  EXPECT_EQ(found.at_work, at_work);
}

TEST(TreeBuffers, one_chain_is_one_accumulator) { expect(buffers(1, 6, 1), 1, 0, 0); }

TEST(TreeBuffers, in_the_last_wave_only_units_at_work_hold_the_trees_last_level) {
  expect(buffers(2, 2, 1), 1, 0, 1);
  expect(buffers(4, 4, 1), 2, 0, 1);  // 01, 2, and 3 of the unit at work
  expect(buffers(8, 8, 1), 3, 0, 1);
}

TEST(TreeBuffers, a_last_chain_of_several_waves_is_held_by_every_unit) {
  expect(buffers(4, 8, 1), 3, 0, 0);
  expect(buffers(4, 8, 2), 2, 0, 1);  // its two microbatches are one wave
}

TEST(TreeBuffers, a_single_wave_takes_each_unit_through_the_whole_tree) { expect(buffers(4, 4, 4), 1, 0, 2); }

TEST(TreeBuffers, chains_that_are_no_power_of_two_hold_most_before_the_last) {
  expect(buffers(3, 3, 1), 2, 0, 0);  // 0 and 1; then 01 and 2
}

TEST(TreeBuffers, nodes_of_other_groups_have_their_buffers_from_the_start) {
  expect(buffers(2, 2, 1, 2), 2, 1, 0);
  expect(buffers(4, 4, 1, 2), 2, 1, 1);
  expect(buffers(8, 8, 1, 2), 3, 0, 1);  // 0-1 and 2 before the last wave: the sum finds a free buffer
}

TEST(TreeBuffers, groups_whose_chains_are_no_subtree_send_more_than_one_node) {
  expect(buffers(8, 8, 1, 3), 5, 1, 1);  // [0,3) holds 01, 2; of the others come 3, 45, 67
}

}  // namespace
}  // namespace regroup::planning
