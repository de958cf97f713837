// Assignment, the first plan, and everything stopped and started again.
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

TEST(Start, a_free_node_is_assigned_and_the_first_plan_is_fresh) {
  CoreWorld w;
  w.start();
  w.put_job(tiny_job());
  EXPECT_EQ(w.status().state, JobState::kWaiting);
  w.put_node(w.record("node-0"));
  EXPECT_EQ(w.assigned("node-0"), "job");
  w.set_worker("node-0", WorkerState::kStarting);
  EXPECT_TRUE(w.plans.empty());
  w.set_worker("node-0", WorkerState::kReady);
  ASSERT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.plan().origin, Origin::kFresh);
  EXPECT_EQ(w.plan().epoch, Epoch(1));
  EXPECT_EQ(w.plan().cause, Cause::kStart);
  EXPECT_EQ(w.etcd.get(w.keys.born("job")), nullptr);  // nothing can be lost yet
  const std::string& text = w.etcd.get(w.keys.plan("job", Epoch(1)))->value;
  EXPECT_EQ(w.etcd.get(w.keys.current_plan("job"))->value, to_json(pointer_to(Epoch(1), text)));
  EXPECT_EQ(*plan_from_json(text), w.plan());
  EXPECT_TRUE(check_plan(w.plan(), tiny_job()).empty());
}

TEST(Start, the_first_ready_node_waits_two_seconds_for_the_others_and_no_longer) {
  CoreWorld w;
  w.start();
  w.put_job(tiny_job());
  for (const char* node : {"node-0", "node-1"}) w.put_node(w.record(node));
  w.set_worker("node-0", WorkerState::kReady);
  w.set_worker("node-1", WorkerState::kStarting);
  w.advance(1900);
  EXPECT_TRUE(w.plans.empty());
  EXPECT_EQ(w.status().state, JobState::kStarting);
  w.advance(200);
  ASSERT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.members(), std::vector<std::string>{"node-0"});
}

TEST(Start, when_all_assigned_nodes_are_ready_nobody_waits) {
  CoreWorld w;
  w.start();
  w.put_job(tiny_job());
  for (const char* node : {"node-0", "node-1"}) w.put_node(w.record(node));
  w.set_worker("node-0", WorkerState::kReady);
  w.set_worker("node-1", WorkerState::kReady);
  ASSERT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.plan().members.size(), 2U);
}

TEST(Start, below_min_nodes_the_job_waits_and_says_how_many_are_missing) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job();
  job.elastic.min_nodes = 3;
  w.put_job(job);
  for (const char* node : {"node-0", "node-1"}) {
    w.put_node(w.record(node));
    w.set_worker(node, WorkerState::kReady);
  }
  w.advance(10'000);
  EXPECT_TRUE(w.plans.empty());
  EXPECT_EQ(w.status().state, JobState::kWaiting);
  EXPECT_NE(w.status().reason.find("2 nodes of at least 3"), std::string::npos) << w.status().reason;
}

TEST(Start, with_a_checkpoint_record_the_first_plan_resumes_from_the_newest) {
  CoreWorld w;
  w.start();
  w.etcd.put(w.keys.checkpoint("job", Step(10)), to_json(CheckpointRecord{Step(10), Epoch(1), "/c/step-10.e1", 5}));
  w.etcd.put(w.keys.checkpoint("job", Step(9)), to_json(CheckpointRecord{Step(9), Epoch(1), "/c/step-9.e1", 5}));
  w.put_job(tiny_job());
  w.put_node(w.record("node-0"));
  w.set_worker("node-0", WorkerState::kReady);
  ASSERT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.plan().origin, Origin::kResume);
  EXPECT_EQ(w.plan().checkpoint_step, Step(10));
  EXPECT_EQ(w.plan().checkpoint_path, "/c/step-10.e1");
}

TEST(Start, initial_weights_are_a_source_until_a_snapshot_is_in_safety) {
  CoreWorld w;
  w.safe = Step(-1);
  w.start();
  w.train_on(3);
  w.agent_says_exit("node-2");
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().origin, Origin::kFresh);
  EXPECT_EQ(w.etcd.get(w.keys.born("job")), nullptr);
  w.safe = Step(6);
  w.progress("node-0", 7);
  ASSERT_NE(w.etcd.get(w.keys.born("job")), nullptr);
  EXPECT_EQ(born_from_json(w.etcd.get(w.keys.born("job"))->value)->epoch, Epoch(2));
  w.agent_says_exit("node-1");
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().origin, Origin::kResume);
}

TEST(Start, with_born_but_without_a_plan_the_job_never_starts_fresh) {
  CoreWorld w;
  w.start();
  w.etcd.put(w.keys.born("job"), to_json(BornRecord{Epoch(4)}));
  w.put_job(tiny_job());
  w.put_node(w.record("node-0"));
  w.set_worker("node-0", WorkerState::kReady);
  // The next epoch is above whatever anybody has seen, so this world's count starts at 5.
  ASSERT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.plan().origin, Origin::kResume);
  EXPECT_EQ(w.plan().epoch, Epoch(5));
}

TEST(Start, everything_stopped_and_started_on_fewer_nodes_resumes_with_the_snapshots_of_live_agents) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  for (int i = 0; i < 4; ++i) w.vanish(w.name(i));
  w.advance(3000);
  for (int i = 0; i < 3; ++i) {
    NodeRecord r = w.record(w.name(i));
    r.incarnation = 2;
    w.put_node(r);
  }
  for (int i = 0; i < 3; ++i) w.set_worker(w.name(i), WorkerState::kReady);
  w.advance(3000);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().origin, Origin::kResume);
  EXPECT_EQ(w.plan().parent, Epoch(1));
  EXPECT_EQ(w.members(), (std::vector<std::string>{"node-0", "node-1", "node-2"}));
}

TEST(Start, the_second_job_waits_until_the_first_is_over) {
  CoreWorld w;
  w.start();
  JobSpec first = tiny_job();
  JobSpec second = tiny_job();
  second.name = "later";
  w.put_job(first);
  w.put_job(second);
  w.put_node(w.record("node-0"));
  w.put_node(w.record("node-1"));
  EXPECT_EQ(w.assigned("node-0"), "job");
  EXPECT_EQ(w.assigned("node-1"), "job");
  EXPECT_EQ(w.status("later").state, JobState::kWaiting);
  w.etcd.put(w.keys.wishes("job") + "x", to_json(WishRecord{WishKind::kStop, 0, {}}));
  w.pump();
  EXPECT_EQ(job_outcome_from_json(w.etcd.get(w.keys.outcome("job"))->value)->state, JobState::kStopped);
  w.advance(6000);
  EXPECT_EQ(w.assigned("node-0"), "later");
  EXPECT_EQ(w.assigned("node-1"), "later");
}

TEST(Start, a_node_of_another_protocol_version_is_refused_by_name) {
  CoreWorld w;
  w.start();
  w.put_job(tiny_job());
  NodeRecord old = w.record("node-0");
  old.version = kProtocolVersion + 1;
  w.put_node(old);
  EXPECT_EQ(w.assigned("node-0"), "");
  ASSERT_EQ(w.status().notes.size(), 1U);
  EXPECT_NE(w.status().notes.front().find("node node-0 is refused"), std::string::npos) << w.status().notes.front();
}

TEST(Start, a_checkpoint_directory_of_another_job_stops_the_start_with_its_reason) {
  ClusterView view("c", {});
  const Keys keys("c");
  JobSpec job = tiny_job();
  job.snapshots.checkpoint_dir = "/c";
  view.apply({true, true, 5, {{WatchEvent::Kind::kPut, {keys.spec("job"), to_json(job), 2, 2, 1, 0}}}}, {});
  JobMemory memory;
  EXPECT_EQ(decide(view, view.jobs().at("job"), memory, {}).state, JobState::kStarting);
  view.scanned("job", {}, "/c holds a checkpoint of another job");
  EXPECT_EQ(decide(view, view.jobs().at("job"), memory, {}).reason, "/c holds a checkpoint of another job");
}

TEST(Start, a_finished_job_gets_its_outcome_and_lets_its_nodes_go) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  for (int i = 0; i < 2; ++i) w.set_worker(w.name(i), WorkerState::kFinished);
  w.progress("node-0", 100, ProgressState::kFinished, "", "abc");
  const auto* kv = w.etcd.get(w.keys.outcome("job"));
  ASSERT_NE(kv, nullptr);
  EXPECT_EQ(job_outcome_from_json(kv->value)->weights_sha256, "abc");
  EXPECT_EQ(w.status().state, JobState::kFinished);
  EXPECT_EQ(w.assigned("node-0"), "");
  EXPECT_EQ(w.plans.size(), 1U);
  w.agent_says_exit("node-0");
  w.advance(6000);
  EXPECT_EQ(w.plans.size(), 1U);
}

TEST(Start, an_outcome_says_that_nothing_was_left_to_do_or_what_was_changed_on_the_way) {
  for (const bool anew : {false, true}) {
    CoreWorld w;
    w.start();
    JobSpec job = tiny_job();
    job.schedule_ended_anew = job.terms_changed = anew;
    w.train_on(1, job);
    const double loss = anew ? 1.0 : 0.0;
    w.etcd.put(w.keys.progress("job", NodeId("node-0")),
               to_json(ProgressRecord{Epoch(1), Step(60), loss, loss, 1, ProgressState::kFinished, "", "abc"}));
    w.pump();
    const std::string reason = job_outcome_from_json(w.etcd.get(w.keys.outcome("job"))->value)->reason;
    if (anew) {
      EXPECT_NE(reason.find("all 60 steps are committed; the schedule was ended anew"), std::string::npos) << reason;
      EXPECT_NE(reason.find("; optimizer or data were changed on the way"), std::string::npos) << reason;
    } else {
      EXPECT_EQ(reason, "all 60 steps are done already");
    }
  }
}

TEST(Start, members_that_give_up_make_the_job_failed) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.progress("node-1", 30, ProgressState::kFailed, "the gradients of 10 steps in a row, 21 to 30, were not finite");
  const auto outcome = job_outcome_from_json(w.etcd.get(w.keys.outcome("job"))->value);
  EXPECT_EQ(outcome->state, JobState::kFailed);
  EXPECT_EQ(outcome->reason, "the gradients of 10 steps in a row, 21 to 30, were not finite");
  EXPECT_EQ(outcome->step, Step(30));
  EXPECT_EQ(w.assigned("node-0"), "");
}

TEST(Start, a_job_whose_last_step_could_not_be_saved_has_failed_and_says_what_is_left) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.etcd.put(w.keys.checkpoint("job", Step(50)), to_json(CheckpointRecord{Step(50), Epoch(1), "/c/step-50", 1}));
  w.progress("node-0", 100, ProgressState::kFinished, "No space left on device", "abc");
  const auto outcome = job_outcome_from_json(w.etcd.get(w.keys.outcome("job"))->value);
  EXPECT_EQ(outcome->state, JobState::kFailed);
  EXPECT_EQ(outcome->reason,
            "all 100 steps are committed, but the last one could not be saved: No space left on device; the newest "
            "checkpoint is that of step 50");
  EXPECT_EQ(outcome->weights_sha256, "abc");
}

TEST(Start, members_that_end_with_different_weights_make_the_job_failed) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.etcd.put(w.keys.progress("job", NodeId("node-0")),
             to_json(ProgressRecord{Epoch(1), Step(100), 1, 1, 1, ProgressState::kFinished, "", "abc"}));
  w.progress("node-1", 100, ProgressState::kFinished, "", "def");
  const auto outcome = job_outcome_from_json(w.etcd.get(w.keys.outcome("job"))->value);
  EXPECT_EQ(outcome->state, JobState::kFailed);
  EXPECT_EQ(outcome->weights_sha256, "") << "neither is the job's";
}

}  // namespace
}  // namespace regroup::coordinator::test
