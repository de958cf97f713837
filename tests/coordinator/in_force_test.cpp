// When a plan counts as the one that its members train in.
#include "coordinator/core/in_force.hpp"

#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

WorkerRecord worker_in(WorkerState state, Epoch epoch) {
  WorkerRecord record;
  record.id = CoreWorld::worker("node-0");
  record.job = "job";
  record.state = state;
  record.epoch = epoch;
  return record;
}

Now at(int seconds) { return {Instant{} + std::chrono::seconds(seconds), seconds * 1000}; }

TEST(InForce, nothing_is_reached_before_anybody_says_so) {
  const InForce in_force;
  EXPECT_EQ(in_force.epoch(), Epoch{});
  EXPECT_FALSE(in_force.has_reached(Epoch(1)));
}

TEST(InForce, a_worker_that_trains_proves_its_epoch_and_one_that_is_warm_or_waits_does_not) {
  for (const WorkerState state : {WorkerState::kStarting, WorkerState::kReady, WorkerState::kWarm,
                                  WorkerState::kWaiting, WorkerState::kFinished, WorkerState::kFailed}) {
    InForce in_force;
    in_force.hear(worker_in(state, Epoch(3)), at(1));
    EXPECT_FALSE(in_force.has_reached(Epoch(3))) << to_string(state);
  }
  InForce in_force;
  in_force.hear(worker_in(WorkerState::kTraining, Epoch(3)), at(1));
  EXPECT_TRUE(in_force.has_reached(Epoch(3)));
  EXPECT_FALSE(in_force.has_reached(Epoch(4)));
  EXPECT_EQ(in_force.since(), at(1).at);
}

TEST(InForce, committed_progress_proves_its_epoch) {
  InForce in_force;
  in_force.hear(ProgressRecord{.epoch = Epoch(2), .step = Step(7)}, at(1));
  EXPECT_TRUE(in_force.has_reached(Epoch(2)));
}

TEST(InForce, what_was_reached_stays_reached_when_the_worker_fails_and_late_news_change_nothing) {
  InForce in_force;
  in_force.hear(worker_in(WorkerState::kTraining, Epoch(5)), at(1));
  in_force.hear(worker_in(WorkerState::kFailed, Epoch(5)), at(2));
  in_force.hear(worker_in(WorkerState::kTraining, Epoch(4)), at(3));
  in_force.hear(ProgressRecord{.epoch = Epoch(5)}, at(4));
  EXPECT_EQ(in_force.epoch(), Epoch(5));
  EXPECT_EQ(in_force.since(), at(1).at);
}

TEST(InForce, the_time_is_that_of_the_newest_epoch) {
  InForce in_force;
  in_force.hear(worker_in(WorkerState::kTraining, Epoch(5)), at(1));
  in_force.hear(worker_in(WorkerState::kTraining, Epoch(6)), at(9));
  EXPECT_EQ(in_force.since(), at(9).at);
}

TEST(InForce, epochs_begin_anew_when_the_plan_is_removed) {
  InForce in_force;
  in_force.hear(worker_in(WorkerState::kTraining, Epoch(5)), at(1));
  in_force.forget_epoch();
  EXPECT_FALSE(in_force.has_reached(Epoch(1)));
  in_force.hear(worker_in(WorkerState::kTraining, Epoch(1)), at(2));
  EXPECT_TRUE(in_force.has_reached(Epoch(1)));
}

const JobRecords& records(CoreWorld& w) { return w.core().view().jobs().at("job"); }

TEST(InForce, a_published_plan_is_in_force_when_its_first_member_trains) {
  CoreWorld w;
  w.start();
  w.put_job(tiny_job());
  w.put_node(w.record("node-0"));
  w.set_worker("node-0", WorkerState::kReady);
  ASSERT_EQ(w.plans.size(), 1U);
  EXPECT_FALSE(records(w).is_in_force());
  w.set_worker("node-0", WorkerState::kTraining, Epoch(1));
  EXPECT_TRUE(records(w).is_in_force());
}

TEST(InForce, a_boundary_plan_is_pending_until_somebody_trains_in_it) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.put_node(w.record("node-2"));
  w.set_worker("node-2", WorkerState::kReady);
  w.warm("node-2");
  w.advance(400);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().when, When::kBoundary);
  EXPECT_TRUE(records(w).is_pending());
  EXPECT_FALSE(records(w).is_in_force());
  w.progress("node-0", 2);
  EXPECT_FALSE(records(w).is_pending());
  EXPECT_TRUE(records(w).is_in_force());
}

TEST(InForce, a_coordinator_that_starts_later_finds_it_in_the_records) {
  CoreWorld w(2);
  w.start();
  w.train_on(2);
  w.depose(0);
  w.start(1);
  EXPECT_TRUE(w.core(1).view().jobs().at("job").is_in_force());
}

}  // namespace
}  // namespace regroup::coordinator::test
