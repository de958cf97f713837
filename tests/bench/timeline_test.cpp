#include "bench/recovery/timeline.hpp"

#include <gtest/gtest.h>

namespace regroup::bench {
namespace {

cli::JournalLine plan(int epoch, int members, int groups, std::int64_t detected = 0, std::int64_t decided = 0) {
  cli::JournalLine line;
  line.event = JournalEvent::kPlan;
  line.epoch = Epoch(static_cast<std::uint64_t>(epoch));
  line.num_members = members;
  line.num_groups = groups;
  line.detected_at_ms = detected;
  line.decided_at_ms = decided;
  return line;
}

cli::JournalLine committed(int epoch, int step, std::int64_t at_ms, double seconds) {
  cli::JournalLine line;
  line.event = JournalEvent::kCommitted;
  line.epoch = Epoch(static_cast<std::uint64_t>(epoch));
  line.step = Step(step);
  line.at_ms = at_ms;
  line.seconds = seconds;
  return line;
}

cli::JournalLine regrouped(int epoch, std::int64_t seen, double agree, double move) {
  cli::JournalLine line;
  line.event = JournalEvent::kRegrouped;
  line.epoch = Epoch(static_cast<std::uint64_t>(epoch));
  line.plan_seen_at_ms = seen;
  line.agree_ms = agree;
  line.move_ms = move;
  return line;
}

// A worker of four is killed at 10'500 in step 3; three go on with it at 10'560, the fourth is back for step 6.
Timeline one_kill() {
  Timeline t;
  t.add(plan(1, 4, 2));
  t.add(committed(1, 1, 9'800, 0.4));
  t.add(committed(1, 2, 10'200, 0.4));
  t.add(plan(2, 3, 1, 10'510, 10'515));
  t.add(regrouped(2, 10'530, 4, 0));
  t.add(regrouped(2, 10'528, 12, 1));
  t.add(committed(2, 3, 11'200, 0.64));
  t.add(committed(2, 4, 11'800, 0.6));
  t.add(committed(2, 5, 12'420, 0.62));
  t.add(plan(3, 4, 2));
  t.add(committed(3, 6, 12'900, 0.45));
  return t;
}

TEST(RecoveryTimeline, counts_from_the_kill_to_the_first_step_begun_afterwards_less_a_median_step) {
  const auto recovery = one_kill().recovery(10'500, Epoch(1));
  ASSERT_TRUE(recovery);
  EXPECT_EQ(recovery->layout, (Layout{3, 1}));
  EXPECT_DOUBLE_EQ(recovery->step_s, 0.6);  // the lower of two; the first of the epoch is left out
  EXPECT_NEAR(recovery->recovery_s, 0.1, 1e-9);
  EXPECT_NEAR(recovery->whole_s, 2.4, 1e-9);
  EXPECT_EQ(recovery->plans, 1);
}

TEST(RecoveryTimeline, phases_add_up) {
  const auto recovery = one_kill().recovery(10'500, Epoch(1));
  const Phases& p = recovery->phases;
  EXPECT_EQ(p.detect_ms, 10);
  EXPECT_EQ(p.decide_ms, 5);
  EXPECT_EQ(p.stop_ms, 15);
  EXPECT_EQ(p.agree_ms, 12);
  EXPECT_EQ(p.move_ms, 1);
  EXPECT_NEAR((p.detect_ms + p.decide_ms + p.stop_ms + p.agree_ms + p.move_ms + p.first_ms) / 1000,
              recovery->recovery_s, 1e-9);
}

TEST(RecoveryTimeline, a_step_that_was_under_way_does_not_count) {
  Timeline t = one_kill();
  t.add(committed(1, 3, 10'505, 0.3));  // its votes were complete when the worker died
  EXPECT_EQ(t.first_commit_ms(10'500, Epoch(1)), 11'200);
  Timeline joined;  // nor does one of a newer epoch that began before the kill
  joined.add(plan(1, 4, 2));
  joined.add(plan(2, 4, 2));
  joined.add(committed(2, 3, 10'900, 0.5));
  EXPECT_EQ(joined.first_commit_ms(10'500, Epoch(1)), std::nullopt);
}

TEST(RecoveryTimeline, is_not_over_before_as_many_as_before_commit) {
  Timeline t;
  t.add(plan(1, 4, 2));
  t.add(committed(1, 1, 9'800, 0.4));
  t.add(plan(2, 3, 1));
  t.add(committed(2, 2, 11'200, 0.6));
  EXPECT_TRUE(t.first_commit_ms(10'500, Epoch(1)));
  EXPECT_FALSE(t.recovery(10'500, Epoch(1)));
}

TEST(RecoveryTimeline, the_first_report_of_a_commit_counts) {
  Timeline t;
  t.add(plan(1, 4, 2));
  t.add(committed(1, 1, 9'803, 0.41));
  t.add(committed(1, 1, 9'800, 0.40));
  EXPECT_DOUBLE_EQ(t.median_step_s({4, 2}), 0.40);
  EXPECT_EQ(t.commits_in(Epoch(1)), 1);
}

TEST(RecoveryTimeline, percentiles_are_values_that_occurred) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(percentile({4, 1, 2, 3}, 0.5), 2);
  EXPECT_EQ(percentile({4, 1, 2, 3}, 0.95), 4);
  EXPECT_EQ(percentile({1}, 0), 1);
}

}  // namespace
}  // namespace regroup::bench
