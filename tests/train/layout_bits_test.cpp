// The claim: the digest after step n is the same for every layout and every change of it. A one-bit difference fails
// these tests, and another order of sums is noticed.
#include "tests/train/on_tiny_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

namespace regroup::testing {
namespace {

class LayoutBits : public OnTinyJob<::testing::TestWithParam<Precision>> {
 protected:
  void SetUp() override { job_.precision = GetParam(); }

  std::string alone(std::int64_t steps, JobSpec job) {
    Cluster cluster(job, 1, new_directory());
    return cluster.train(make_placement(job, {1}), {0}, steps);
  }
  std::string alone(std::int64_t steps) { return alone(steps, job_); }
};

INSTANTIATE_TEST_SUITE_P(Precisions, LayoutBits, ::testing::Values(Precision::kFp32, Precision::kBf16), precision_name);

TEST_P(LayoutBits, one_to_seven_workers_in_one_to_four_groups_give_one_digest) {
  const std::string expected = alone(3);
  ASSERT_EQ(expected.size(), 64u) << expected;
  const std::vector<std::vector<int>> layouts = {{2},    {3},       {4},       {5},          {6},
                                                 {7},    {1, 1},    {2, 1},    {2, 2},       {4, 3},
                                                 {3, 2}, {1, 1, 1}, {3, 2, 2}, {2, 2, 2, 1}, {1, 1, 1, 1}};
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    const int workers = sum(layouts[i]);
    Cluster cluster(job_, workers, new_directory());
    EXPECT_EQ(cluster.train(make_placement(job_, layouts[i], static_cast<int>(i), i % 2 == 1), first(workers), 3),
              expected)
        << "layout " << i;
  }
}

TEST_P(LayoutBits, growing_shrinking_and_moving_between_steps_changes_no_bit) {
  Cluster cluster(job_, 5, directory_);
  EXPECT_EQ(cluster.train(make_placement(job_, {2}), {0, 1}, 1), alone(1));
  EXPECT_EQ(cluster.train(make_placement(job_, {3, 2}, 1), {0, 1, 2, 3, 4}, 2), alone(2));
  EXPECT_EQ(cluster.train(make_placement(job_, {2, 1}, 2, true), {2, 4, 3}, 3, {0, 1}), alone(3));
  EXPECT_EQ(cluster.train(make_placement(job_, {1}), {4}, 4, {2, 3}), alone(4));
  EXPECT_EQ(cluster.train(make_placement(job_, {2, 2}), {0, 4, 1, 2}, 5), alone(5));
  EXPECT_EQ(cluster.sources().back(), StateSource::kLive);
  EXPECT_LT(cluster.losses().back(), cluster.losses().front());
}

TEST_P(LayoutBits, a_lost_group_is_rebuilt_from_its_sibling_at_the_same_step) {
  Cluster cluster(job_, 4, directory_);
  cluster.train(make_placement(job_, {2, 2}), {0, 1, 2, 3}, 2);
  cluster.lose(2);
  cluster.lose(3);
  EXPECT_EQ(cluster.train(make_placement(job_, {2, 2}), {2, 1, 0, 3}, 3), alone(3));
  EXPECT_EQ(cluster.sources().back(), StateSource::kLive);
}

TEST_P(LayoutBits, a_member_that_keeps_nothing_computes_its_share) {
  Placement placement = make_placement(job_, {3});
  Group& group = placement.groups.front();
  group.dense_blocks = {IntervalSet{{0, 100}}, IntervalSet{{100, 256}}, IntervalSet{}};
  for (int& member : group.expert_member) member %= 2;
  Cluster cluster(job_, 3, directory_);
  EXPECT_EQ(cluster.train(placement, {0, 1, 2}, 2), alone(2));
}

TEST_P(LayoutBits, router_z_loss_is_the_same_on_every_layout) {
  const std::string without = alone(2);
  job_.router_z_loss_coef = 0.01;
  const std::string expected = alone(2);
  EXPECT_NE(expected, without);
  Cluster cluster(job_, 5, directory_);
  EXPECT_EQ(cluster.train(make_placement(job_, {3, 2}, 1, true), {0, 1, 2, 3, 4}, 2), expected);
}

TEST_P(LayoutBits, tied_embeddings_are_one_unit_on_every_layout) {
  job_.model.tie_word_embeddings = true;
  const std::string expected = alone(2);
  Cluster cluster(job_, 3, directory_);
  EXPECT_EQ(cluster.train(make_placement(job_, {2, 1}), {0, 1, 2}, 2), expected);
}

TEST_P(LayoutBits, what_is_recomputed_changes_no_bit) {
  const std::string expected = alone(2);
  for (const Recompute recompute : {Recompute::kExperts, Recompute::kFull}) {
    JobSpec job = job_;
    job.recompute = recompute;
    EXPECT_EQ(alone(2, job), expected);
    Cluster cluster(job, 5, new_directory());
    EXPECT_EQ(cluster.train(make_placement(job, {3, 2}), first(5), 2), expected);
  }
}

TEST_P(LayoutBits, attention_within_documents_gives_one_digest) {
  write_data(directory_ + "/documents", 96, 37);
  job_.data_prefix = directory_ + "/documents";
  const std::string crossing = alone(2);
  job_.separate_documents = true;
  const std::string expected = alone(2);
  ASSERT_EQ(expected.size(), 64u) << expected;
  EXPECT_NE(expected, crossing);
  for (const std::vector<int>& groups : {std::vector<int>{2}, {3}, {2, 2}, {3, 2}, {2, 2, 2}, {4, 3}}) {
    const int workers = sum(groups);
    JobSpec job = job_;
    if (workers == 5) job.recompute = Recompute::kFull;
    Cluster cluster(job, workers, new_directory());
    EXPECT_EQ(cluster.train(make_placement(job, groups), first(workers), 2), expected)
        << workers << " workers in " << groups.size() << " groups";
  }
}

TEST_P(LayoutBits, a_newcomer_alone_waits_instead_of_inventing_state) {
  Cluster cluster(job_, 2, directory_);
  cluster.train(make_placement(job_, {1}), {0}, 1);
  EXPECT_NE(cluster.train(make_placement(job_, {1}), {1}, 2).find("unavailable"), std::string::npos);
}

TEST_P(LayoutBits, another_order_of_sums_is_noticed) {
  JobSpec other = job_;
  other.chains = 4;
  EXPECT_NE(alone(2), alone(2, other));
  other = job_;
  other.precision = job_.precision == Precision::kFp32 ? Precision::kBf16 : Precision::kFp32;
  EXPECT_NE(alone(1), alone(1, other));
  other = job_;
  other.seed = 8;
  EXPECT_NE(alone(1), alone(1, other));
}

}  // namespace
}  // namespace regroup::testing
