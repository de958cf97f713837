// A wish to stop: saved first where that is possible, over at once where it is not, never waited for without end.
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

JobSpec saving_job() {
  JobSpec job = tiny_job();
  job.snapshots.checkpoint_dir = "/checkpoints";
  return job;
}

void wish_to_stop(CoreWorld& w, bool now = false) {
  WishRecord wish{WishKind::kStop, 0, {}};
  wish.now = now;
  w.etcd.put(w.keys.wishes("job") + "stop", to_json(wish));
  w.pump();
}

std::optional<JobOutcome> outcome(CoreWorld& w) {
  const KeyValue* kv = w.etcd.get(w.keys.outcome("job"));
  return kv == nullptr ? std::nullopt : std::optional(*job_outcome_from_json(kv->value));
}

#define EXPECT_HOLDS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Stopping, a_job_that_trains_gets_a_plan_that_ends_it_and_is_over_when_its_members_say_so) {
  CoreWorld w;
  w.start();
  w.train_on(3, saving_job());
  const Plan before = w.plan();
  wish_to_stop(w);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_TRUE(w.plan().ends);
  EXPECT_EQ(w.plan().when, When::kBoundary);
  EXPECT_EQ(w.plan().members, before.members);
  EXPECT_EQ(w.plan().placement, before.placement);
  EXPECT_TRUE(check_plan(w.plan(), saving_job()).empty());
  EXPECT_EQ(w.status().state, JobState::kStopping);
  for (int i = 0; i < 3; ++i) w.set_worker(w.name(i), WorkerState::kFinished);
  w.advance(2000);
  EXPECT_FALSE(outcome(w));
  ASSERT_EQ(w.plans.size(), 2U);
  w.progress("node-1", 8, ProgressState::kStopped);
  ASSERT_TRUE(outcome(w));
  EXPECT_EQ(outcome(w)->state, JobState::kStopped);
  EXPECT_EQ(outcome(w)->step, Step(8));
  EXPECT_EQ(outcome(w)->reason, "as wished, after step 8, whose checkpoint is written");
  EXPECT_EQ(w.assigned("node-0"), "");
}

TEST(Stopping, a_step_that_could_not_be_saved_is_said_with_its_reason) {
  CoreWorld w;
  w.start();
  w.train_on(2, saving_job());
  w.etcd.put(w.keys.checkpoint("job", Step(5)), to_json(CheckpointRecord{Step(5), Epoch(1), "/checkpoints/step-5", 1}));
  wish_to_stop(w);
  w.progress("node-0", 8, ProgressState::kStopped, "No space left on device");
  ASSERT_TRUE(outcome(w));
  EXPECT_EQ(outcome(w)->reason,
            "as wished, after step 8, which could not be saved: No space left on device; the newest checkpoint is that "
            "of step 5");
}

TEST(Stopping, without_a_checkpoint_directory_or_without_a_plan_it_is_over_at_once) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  wish_to_stop(w);
  EXPECT_EQ(w.plans.size(), 1U);
  ASSERT_TRUE(outcome(w));
  EXPECT_HOLDS(outcome(w)->reason, "nothing is saved: the job has no snapshots.dir");

  CoreWorld idle;
  idle.start();
  idle.put_job(saving_job());
  wish_to_stop(idle);
  ASSERT_TRUE(outcome(idle));
  EXPECT_EQ(outcome(idle)->reason, "as wished, before it trained");
}

TEST(Stopping, who_will_not_wait_does_not) {
  CoreWorld w;
  w.start();
  w.train_on(2, saving_job());
  wish_to_stop(w);
  w.advance(1000);
  EXPECT_FALSE(outcome(w));
  wish_to_stop(w, true);
  ASSERT_TRUE(outcome(w));
  EXPECT_HOLDS(outcome(w)->reason, "at once, without saving: no checkpoint of it is known");
}

TEST(Stopping, a_member_lost_on_the_way_makes_a_plan_without_it_which_is_then_ended) {
  CoreWorld w;
  w.start();
  w.train_on(3, saving_job());
  wish_to_stop(w);
  w.agent_says_exit("node-2");
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_FALSE(w.plan().ends);
  EXPECT_EQ(w.plan().when, When::kNow);
  // it says nothing about this plan
  w.etcd.put(w.keys.progress("job", NodeId("node-0")),
             to_json(ProgressRecord{Epoch(2), Step(9), 1.0, 1.0, 0, ProgressState::kStopped, "", ""}));
  w.pump();
  EXPECT_FALSE(outcome(w));
  w.set_worker("node-0", WorkerState::kTraining, w.plan().epoch);
  ASSERT_EQ(w.plans.size(), 4U);
  EXPECT_TRUE(w.plan().ends);
  EXPECT_FALSE(outcome(w));
  w.progress("node-0", 10, ProgressState::kStopped);
  EXPECT_TRUE(outcome(w));
}

TEST(Stopping, a_job_that_nobody_trains_is_not_waited_for) {
  CoreWorld w;
  w.start();
  JobSpec job = saving_job();
  job.elastic.min_nodes = 2;
  w.train_on(2, job);
  w.agent_says_exit("node-1");
  EXPECT_EQ(w.status().state, JobState::kWaiting);
  wish_to_stop(w);
  EXPECT_FALSE(outcome(w));
  w.advance(6000);
  ASSERT_TRUE(outcome(w));
  EXPECT_HOLDS(outcome(w)->reason, "nobody trains");
}

TEST(Stopping, a_save_that_does_not_end_is_not_waited_for_without_end) {
  CoreWorld w;
  w.start();
  w.train_on(2, saving_job());
  wish_to_stop(w);
  w.advance(200'000);
  EXPECT_FALSE(outcome(w));
  w.advance(110'000);
  ASSERT_TRUE(outcome(w));
  EXPECT_HOLDS(outcome(w)->reason, "it was not saved within 300 s");
}

TEST(Stopping, a_stopped_job_that_is_submitted_again_resumes_with_a_later_epoch) {
  CoreWorld w;
  w.start();
  w.train_on(2, saving_job());
  w.etcd.put(w.keys.checkpoint("job", Step(8)), to_json(CheckpointRecord{Step(8), Epoch(1), "/checkpoints/step-8", 1}));
  wish_to_stop(w);
  w.progress("node-0", 8, ProgressState::kStopped);
  ASSERT_TRUE(outcome(w));
  for (int i = 0; i < 2; ++i) {
    NodeRecord idle = w.record(w.name(i));
    idle.workers.clear();
    w.put_node(idle);
  }
  w.etcd.erase(w.keys.outcome("job"));  // as cli/job/submit.cpp does
  w.etcd.erase(w.keys.progress("job", NodeId("node-0")));
  w.etcd.erase(w.keys.current_plan("job"));
  w.pump();
  EXPECT_EQ(w.assigned("node-0"), "job");
  for (int i = 0; i < 2; ++i) w.set_worker(w.name(i), WorkerState::kReady, {}, 1);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().origin, Origin::kResume);
  EXPECT_EQ(w.plan().epoch, Epoch(3));
  EXPECT_EQ(w.plan().checkpoint_step, Step(8));
  EXPECT_FALSE(w.plan().ends);
}

}  // namespace
}  // namespace regroup::coordinator::test
