// The claim, for experts in slices: each number of slices has bits of its own, and they are the same wherever the
// slices lie.
#include "tests/train/on_tiny_job.hpp"

#include <gtest/gtest.h>

#include <set>

namespace regroup::testing {
namespace {

struct Cut {
  int slices = 1;
  Precision precision = Precision::kFp32;
};

class Slices : public OnTinyJob<::testing::TestWithParam<Cut>> {
 protected:
  void SetUp() override {
    job_.microbatches = 8;
    job_.chains = 4;
    job_.sequences_per_microbatch = 1;
    job_.model.expert_slices = GetParam().slices;
    job_.precision = GetParam().precision;
  }
  std::string train(const JobSpec& job, const Placement& placement, std::int64_t until) {
    Cluster cluster(job, placement.num_ranks(), new_directory());
    const std::string digest = cluster.train(placement, first(placement.num_ranks()), until);
    losses_ = cluster.losses();
    return digest;
  }
  std::string alone(const JobSpec& job, std::int64_t until) { return train(job, make_placement(job, {1}), until); }

  std::vector<double> losses_;
};

INSTANTIATE_TEST_SUITE_P(
    Cuts, Slices, ::testing::Values(Cut{2, Precision::kFp32}, Cut{4, Precision::kFp32}, Cut{4, Precision::kBf16}),
    [](const auto& test) {
      return std::to_string(test.param.slices) + (test.param.precision == Precision::kBf16 ? "_bf16" : "_fp32");
    });

TEST_P(Slices, one_to_seven_workers_give_one_digest) {
  const std::string expected = alone(job_, 2);
  ASSERT_EQ(expected.size(), 64u) << expected;
  const std::vector<double> losses = losses_;
  const std::vector<std::vector<int>> layouts = {{2}, {3}, {4}, {5}, {6}, {7}, {2, 1}, {4, 3}, {2, 2, 2, 1}};
  for (std::size_t i = 0; i < layouts.size(); ++i) {
    EXPECT_EQ(train(job_, make_placement(job_, layouts[i], static_cast<int>(i), i % 2 == 1), 2), expected)
        << "layout " << i;
    EXPECT_EQ(losses_, losses) << "layout " << i;
  }
}

// An expert's slices all on one rank, or as they come, several of some and none of others on each: the same sums.
TEST_P(Slices, wherever_they_lie_they_give_one_digest) {
  const std::string expected = alone(job_, 2);
  Placement together = make_placement(job_, {3}), scattered = together;
  std::vector<int>& whole = together.groups.front().expert_member;
  std::vector<int>& any = scattered.groups.front().expert_member;
  for (std::size_t slot = 0; slot < whole.size(); ++slot) {
    whole[slot] = static_cast<int>(slot) / job_.model.expert_slices % 3;
    any[slot] = static_cast<int>(slot * slot / 3 + slot / 5) % 3;
  }
  EXPECT_EQ(train(job_, together, 2), expected);
  EXPECT_EQ(train(job_, scattered, 2), expected);
}

TEST_P(Slices, growing_shrinking_and_moving_between_steps_changes_no_bit) {
  Cluster cluster(job_, 5, directory_);
  EXPECT_EQ(cluster.train(make_placement(job_, {2}), {0, 1}, 1), alone(job_, 1));
  EXPECT_EQ(cluster.train(make_placement(job_, {3, 2}, 1), {0, 1, 2, 3, 4}, 2), alone(job_, 2));
  EXPECT_EQ(cluster.train(make_placement(job_, {2, 1}, 2, true), {2, 4, 3}, 3, {0, 1}), alone(job_, 3));
  EXPECT_EQ(cluster.sources().back(), StateSource::kLive);
}

TEST_P(Slices, what_is_recomputed_changes_no_bit) {
  const std::string expected = alone(job_, 2);
  for (const Recompute recompute : {Recompute::kExperts, Recompute::kFull}) {
    JobSpec job = job_;
    job.recompute = recompute;
    EXPECT_EQ(alone(job, 2), expected);
    EXPECT_EQ(train(job, make_placement(job, {3, 2}), 2), expected);
  }
}

TEST_P(Slices, begin_with_the_same_weights_and_have_bits_of_their_own) {
  JobSpec whole = job_;
  whole.model.expert_slices = 1;
  const std::string initial = alone(whole, 0);
  ASSERT_EQ(initial.size(), 64u) << initial;
  EXPECT_EQ(alone(job_, 0), initial);
  EXPECT_EQ(train(job_, make_placement(job_, {5}), 0), initial);
  const std::string after = alone(whole, 3);
  const std::vector<double> expected = losses_;
  EXPECT_NE(alone(job_, 3), after) << "sums in another order are expected to differ in bits";
  ASSERT_EQ(losses_.size(), expected.size());
  const double close = job_.precision == Precision::kBf16 ? 2e-3 : 1e-6;
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(losses_[i], expected[i], close * expected[i]);
}

}  // namespace
}  // namespace regroup::testing
