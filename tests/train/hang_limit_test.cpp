#include "moe/worker/hang_limit.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

using std::chrono::milliseconds;

TEST(HangLimit, is_50_heartbeats_or_10_median_steps_of_the_last_16) {
  HangLimit limit(200);
  EXPECT_EQ(limit.after_step(0.5), milliseconds(10'000));
  EXPECT_EQ(limit.after_step(30), milliseconds(300'000));  // of two, the longer
  EXPECT_EQ(limit.after_step(2), milliseconds(20'000));
  for (int i = 0; i < 20; ++i) limit.after_step(0.1);
  EXPECT_EQ(limit.after_step(40), milliseconds(10'000));  // one slow step among 16 is none
  for (int i = 0; i < 8; ++i) limit.after_step(3);
  EXPECT_EQ(limit.after_step(3), milliseconds(30'000));
}

}  // namespace
}  // namespace regroup
