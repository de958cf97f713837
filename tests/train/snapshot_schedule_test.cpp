#include "moe/worker/snapshot_schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace regroup {
namespace {

TEST(SnapshotSchedule, one_is_under_way_at_a_time_and_counts_when_the_votes_say_so) {
  SnapshotSchedule schedule(1);
  ASSERT_TRUE(schedule.due(Step(1)));
  schedule.begin(Step(1));
  EXPECT_EQ(schedule.vote(), SnapshotVote::kNoneSafe);
  EXPECT_FALSE(schedule.due(Step(2)));
  schedule.safe_here();
  EXPECT_EQ(schedule.vote(), safe_until(Step(1)));
  schedule.heard(SnapshotVote::kNoneSafe);  // another member waits still
  EXPECT_EQ(schedule.safe(), Step(-1));
  EXPECT_FALSE(schedule.due(Step(3)));
  schedule.heard(safe_until(Step(1)));
  EXPECT_EQ(schedule.safe(), Step(1));
  EXPECT_TRUE(schedule.due(Step(4)));
}

TEST(SnapshotSchedule, what_one_member_left_out_counts_for_nobody_and_holds_nobody_up) {
  SnapshotSchedule here(1), there(1);
  here.begin(Step(1));
  there.begin(Step(1));
  here.safe_here();
  there.skipped_here();
  const auto least = std::min(here.vote(), there.vote());
  here.heard(least);
  there.heard(least);
  EXPECT_EQ(here.safe(), Step(-1));
  EXPECT_TRUE(here.due(Step(2)));
  EXPECT_TRUE(there.due(Step(2)));
}

TEST(SnapshotSchedule, a_new_epoch_forgets_what_was_under_way_and_what_was_safe) {
  SnapshotSchedule schedule(1);
  schedule.begin(Step(7));
  schedule.safe_here();
  schedule.heard(safe_until(Step(7)));
  schedule.begin(Step(8));
  schedule.enter();
  EXPECT_EQ(schedule.vote(), SnapshotVote::kNoneSafe);  // a history that was rolled back says nothing
  EXPECT_TRUE(schedule.due(Step(6)));
}

// Whatever becomes of each copy, every member begins the same steps, and a step that counts as safe was safe at every
// member.
TEST(SnapshotSchedule, members_agree_whatever_becomes_of_their_copies) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<SnapshotSchedule> members(3, SnapshotSchedule(2));
    std::vector<std::vector<std::int64_t>> safe_at(3);  // steps that each member really has
    std::int64_t newest_safe = -1;
    for (std::int64_t step = 1; step <= 60; ++step) {
      for (std::size_t i = 0; i < members.size(); ++i) {
        const Step under_way = members[i].in_flight();
        if (under_way.value < 0 || random() % 3 != 0) continue;
        const auto& had = safe_at[i];
        if (std::find(had.begin(), had.end(), -under_way.value) == had.end()) {  // not left out
          members[i].safe_here();
          safe_at[i].push_back(under_way.value);
        }
      }
      SnapshotVote least = members[0].vote();
      for (const auto& member : members) least = std::min(least, member.vote());
      const bool durable = step % 10 == 0;
      for (std::size_t i = 0; i < members.size(); ++i) {
        members[i].heard(least);
        ASSERT_EQ(members[i].due(Step(step)), members[0].due(Step(step)));
      }
      const bool begins = durable || members[0].due(Step(step));
      for (std::size_t i = 0; i < members.size() && begins; ++i) {
        members[i].begin(Step(step));
        if (random() % 5 == 0) {
          members[i].skipped_here();
          safe_at[i].push_back(-step);
        }
      }
      ASSERT_GE(members[0].safe().value, newest_safe);
      newest_safe = members[0].safe().value;
      for (std::size_t i = 0; i < members.size() && newest_safe >= 0; ++i) {
        ASSERT_NE(std::find(safe_at[i].begin(), safe_at[i].end(), newest_safe), safe_at[i].end())
            << "seed " << seed << " member " << i << " step " << newest_safe;
      }
    }
    EXPECT_GT(newest_safe, 0) << seed;
  }
}

}  // namespace
}  // namespace regroup
