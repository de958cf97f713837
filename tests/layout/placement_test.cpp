#include "layout/placement.hpp"

#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

Group chains(int members, int first, int end) {
  Group group;
  for (int m = 0; m < members; ++m) group.ranks.emplace_back(m);
  group.first_chain = first;
  group.end_chain = end;
  return group;
}

TEST(Placement, a_group_computes_the_microbatches_of_its_chains_one_a_member_and_wave) {
  for (int members = 1; members <= 5; ++members) {
    for (int first = 0; first < 8; ++first) {
      for (int end = first + 1; end <= 8; ++end) {
        const Group group = chains(members, first, end);
        const MicrobatchRange range = microbatches_of(group, 24, 8);
        ASSERT_EQ(range.first, first * 3);
        ASSERT_EQ(range.end, end * 3);
        ASSERT_EQ(num_waves(group, 24, 8), (range.size() + members - 1) / members);
      }
    }
  }
}

TEST(Placement, a_rank_keeps_its_dense_blocks_and_its_experts_whole) {
  ModelShape shape = testing::tiny_shape();
  shape.num_local_experts = 2;
  shape.expert_slices = 2;
  Placement placement;
  placement.groups = {{{Rank(1), Rank(4)}, {{{0, 200}}, {{200, 256}}}, {0, 1, 1, 0, 0, 0, 1, 1}, 0, 1},
                      {{Rank(2)}, {{{0, 256}}}, {0, 0, 0, 0, 0, 0, 0, 0}, 1, 2}};
  EXPECT_EQ(placement.num_ranks(), 3);
  EXPECT_EQ(placement.group_of(Rank(4)), 0);
  EXPECT_EQ(placement.member_of(Rank(4)), 1);
  EXPECT_EQ(placement.group_of(Rank(2)), 1);
  EXPECT_EQ(placement.group_of(Rank(0)), -1);
  EXPECT_EQ(placement.member_of(Rank(3)), -1);
  for (const Unit& unit : make_units(shape)) {
    // Every block has exactly one owner in each group, and a rank outside keeps nothing.
    const IntervalSet a = blocks_kept(placement, unit, shape, Rank(1));
    const IntervalSet b = blocks_kept(placement, unit, shape, Rank(4));
    EXPECT_EQ(a.unite(b), (IntervalSet{{0, kBlocksPerUnit}}));
    EXPECT_TRUE(a.intersect(b).empty());
    EXPECT_EQ(blocks_kept(placement, unit, shape, Rank(2)), (IntervalSet{{0, kBlocksPerUnit}}));
    EXPECT_TRUE(blocks_kept(placement, unit, shape, Rank(0)).empty());
  }
  const auto units = make_units(shape);
  EXPECT_EQ(blocks_kept(placement, units[static_cast<std::size_t>(expert_unit_index(shape, 1, 1, 0))], shape, Rank(4)),
            (IntervalSet{{0, 256}}));
  EXPECT_TRUE(blocks_kept(placement, units[static_cast<std::size_t>(expert_unit_index(shape, 0, 0, 0))], shape, Rank(4))
                  .empty());
}

TEST(Placement, a_group_is_as_slow_as_the_heaviest_member_of_each_layer) {
  const ModelShape shape{.num_hidden_layers = 3, .num_local_experts = 2, .dense_layers = {1}, .expert_slices = 2};
  const Group whole{{Rank(0), Rank(1)}, {}, {0, 0, 1, 1, 0, 0, 1, 1}, 0, 1};
  const Group sliced{{Rank(0), Rank(1)}, {}, {0, 1, 0, 1, 0, 1, 0, 1}, 0, 1};
  const std::vector<std::int64_t> load = {30, 10, 0, 0, 10, 50};  // the layer between has no experts
  EXPECT_DOUBLE_EQ(heaviest_over_mean(whole, shape, load), (30.0 + 50) / (20 + 30));
  EXPECT_DOUBLE_EQ(heaviest_over_mean(sliced, shape, load), 1);
  EXPECT_DOUBLE_EQ(heaviest_over_mean(whole, shape, std::vector<std::int64_t>(6)), 1);
}

}  // namespace
}  // namespace regroup
