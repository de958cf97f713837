// Steps whose gradients are not finite: committed, and changing nothing, alike on every layout and however members come
// and go.
#include "tests/train/on_tiny_job.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace regroup::testing {
namespace {

class BadStepsOnLayouts : public OnTinyJob<> {
 protected:
  // The first weight of the final norm, wherever it lies; gives what was there.
  static float set_norm(const Cluster& cluster, const JobSpec& job, int workers, float value) {
    const int head = static_cast<int>(make_units(job.model).size()) - 1;
    float before = std::numeric_limits<float>::quiet_NaN();
    for (int worker = 0; worker < workers; ++worker) {
      const ShardPtr shard = cluster.store(worker).containing(head, {0, 1});
      if (shard == nullptr) continue;
      before = shard->master()[0];
      shard->master()[0] = value;
    }
    return before;
  }
};

TEST_F(BadStepsOnLayouts, a_rate_that_overflows_leaves_the_weights_of_the_last_good_step) {
  job_.optimizer.learning_rate = 1e38;
  job_.optimizer.warmup_steps = 0;
  job_.optimizer.schedule = ScheduleKind::kConstant;
  Cluster alone(job_, 1, new_directory());
  const std::string after_one = alone.train(make_placement(job_, {1}), {0}, 1);
  ASSERT_EQ(after_one.size(), 64u) << after_one;
  EXPECT_EQ(alone.bad(0), BadSteps{});
  EXPECT_EQ(alone.train(make_placement(job_, {1}), {0}, 5), after_one);
  EXPECT_EQ(alone.bad(0), (BadSteps{4, 4}));

  Cluster cluster(job_, 4, new_directory());
  EXPECT_EQ(cluster.train(make_placement(job_, {2}), {0, 1}, 3), after_one);
  EXPECT_EQ(cluster.bad(1), (BadSteps{2, 2}));
  EXPECT_EQ(cluster.train(make_placement(job_, {2, 1}, 1), {2, 1, 3}, 4, {0}), after_one);
  for (const int worker : {1, 2, 3}) EXPECT_EQ(cluster.bad(worker), (BadSteps{3, 3})) << worker;
  cluster.lose(1);
  EXPECT_EQ(cluster.train(make_placement(job_, {1, 1}), {3, 0}, 5, {2}), after_one);
  EXPECT_EQ(cluster.bad(0), (BadSteps{4, 4}));
}

// A good step after bad ones: the count in a row ends, the moments are corrected for good steps alone, and all of it is
// known to who joins between.
TEST_F(BadStepsOnLayouts, training_goes_on_after_bad_steps) {
  const auto run = [&](const std::vector<int>& first, const std::vector<int>& second) {
    int workers = 0, later = 0;
    for (const int size : first) workers += size;
    for (const int size : second) later += size;
    Cluster cluster(job_, std::max(workers, later), new_directory());
    std::vector<int> members, others;
    for (int i = 0; i < workers; ++i) members.push_back(i);
    for (int i = later; i-- > 0;) others.push_back(i);
    cluster.train(make_placement(job_, first), members, 2);
    const float good = set_norm(cluster, job_, workers, std::numeric_limits<float>::infinity());
    cluster.train(make_placement(job_, first), members, 4);
    EXPECT_EQ(cluster.bad(0), (BadSteps{2, 2}));
    EXPECT_TRUE(std::isinf(set_norm(cluster, job_, workers, good)));
    std::vector<int> gone;
    for (int i = later; i < workers; ++i) gone.push_back(i);
    const std::string digest = cluster.train(make_placement(job_, second, 1, true), others, 6, gone);
    EXPECT_EQ(cluster.bad(0), (BadSteps{2, 0}));
    return digest;
  };
  const std::string expected = run({1}, {1});
  ASSERT_EQ(expected.size(), 64u) << expected;
  EXPECT_EQ(run({2, 1}, {2}), expected);
  EXPECT_EQ(run({1, 1}, {3, 2}), expected);
  Cluster undisturbed(job_, 1, new_directory());
  EXPECT_NE(undisturbed.train(make_placement(job_, {1}), {0}, 6), expected);
}

}  // namespace
}  // namespace regroup::testing
