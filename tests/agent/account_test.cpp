// What an agent counts, and for whom.
#include "agent/account.hpp"

#include <gtest/gtest.h>

namespace regroup::agent {
namespace {

TEST(Account, another_job_begins_with_nothing_of_the_earlier_one) {
  metrics::AgentCounters counters;
  follow(counters, "first");
  SnapshotKept kept;
  kept.step = Step(90);
  CheckpointSaved saved;
  saved.step = Step(80);
  account(counters, kept, 1000);
  account(counters, saved, 2000);
  counters.training.step = 95;
  counters.worker_starts = 3;
  follow(counters, "first");
  EXPECT_EQ(counters.training.step, 95);
  EXPECT_EQ(counters.snapshots.last_step, 90);
  EXPECT_EQ(counters.checkpoints.last_success_at_ms, 2000);
  follow(counters, "second");
  EXPECT_EQ(counters.training.job, "second");
  EXPECT_EQ(counters.training.step, 0);
  for (const metrics::Saving& saving : {counters.snapshots, counters.checkpoints}) {
    EXPECT_EQ(saving.last_step, -1);
    EXPECT_EQ(saving.last_success_at_ms, 0);
    EXPECT_EQ(saving.attempts, 0u);
  }
  EXPECT_EQ(counters.worker_starts, 3u) << "of the node, not of a job";
}

}  // namespace
}  // namespace regroup::agent
