// The same plan once more: who asks for it, when it comes, and when it does not.
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

using Names = std::vector<std::string>;

void train_and_wish_to_stop(CoreWorld& w) {
  w.start();
  JobSpec job = tiny_job();
  job.snapshots.checkpoint_dir = "/c";
  w.train_on(2, job);
  w.etcd.put(w.keys.wish("job", "stop"), to_json(WishRecord{WishKind::kStop}));
}

TEST(Retry, a_member_that_was_interrupted_and_waits_for_a_second_gets_a_new_epoch_with_the_same_members) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  const Plan before = w.plan();
  w.waits("node-1", w.epoch());
  w.advance(950);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(50);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kRetry);
  EXPECT_EQ(w.plan().when, When::kNow);
  EXPECT_EQ(w.plan().parent, before.epoch);
  EXPECT_EQ(w.plan().members, before.members);
  EXPECT_EQ(w.plan().placement, before.placement);
  EXPECT_EQ(w.plan().retries, 1);
  EXPECT_NE(w.plan().reason.find("node-1 waits for a peer closed the connection"), std::string::npos)
      << w.plan().reason;
}

TEST(Retry, other_workers_of_the_node_or_a_rewritten_record_do_not_begin_the_second_anew) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.waits("node-1", w.epoch());
  for (int i = 0; i < 20; ++i) {
    NodeRecord r = w.record("node-1");
    r.labels["x"] = std::to_string(i);
    w.put_node(r);
    w.advance(50);
  }
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Retry, one_that_lacks_a_source_asks_for_nothing_and_one_that_waits_in_another_epoch_neither) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.waits("node-1", w.epoch(), true);
  w.waits("node-2", Epoch(7));
  w.advance(10'000);
  EXPECT_EQ(w.plans.size(), 1U);
  w.waits("node-1", w.epoch());  // what was lacking is there
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Retry, a_donor_that_has_given_its_state_away_asks_for_nothing_and_one_that_was_interrupted_does) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.etcd.put(w.keys.notice(NodeId("node-2")), to_json(NoticeRecord{NodeId("node-2"), NoticeKind::kDrain, 0}),
             w.lease_of("node-2"));
  w.pump();
  ASSERT_EQ(w.plans.size(), 2U) << w.status().reason;
  ASSERT_EQ(w.plan().donors.size(), 1U);
  w.suspect(w.worker("node-2"), {}, Evidence::kEof);  // it has entered the epoch, and accuses nobody
  w.waits("node-2", w.epoch(), true);
  w.advance(3000);
  EXPECT_EQ(w.plans.size(), 2U);
  w.waits("node-2", w.epoch());
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().cause, Cause::kRetry);
  EXPECT_EQ(w.plan().donors.size(), 1U);
}

TEST(Retry, retries_in_a_row_are_further_and_further_apart_and_begin_anew_after_a_commit) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  std::vector<std::int64_t> waited;
  for (int i = 0; i < 7; ++i) {
    w.waits("node-0", w.epoch());
    const auto from = w.now.wall_ms;
    while (w.plans.size() == static_cast<std::size_t>(i) + 1 && w.now.wall_ms < from + 10'000) w.advance(50);
    waited.push_back(w.now.wall_ms - from);
  }
  EXPECT_EQ(waited, (std::vector<std::int64_t>{1000, 1000, 1000, 1000, 2000, 2000, 2000}));
  EXPECT_EQ(w.plan().retries, 7);
  w.progress("node-0", 5);
  w.waits("node-0", w.epoch());
  w.advance(1000);
  EXPECT_EQ(w.plan().retries, 1);
}

TEST(Retry, a_new_leader_knows_how_many_there_were) {
  CoreWorld w(2);
  w.start(0);
  w.watch_only(1);
  w.train_on(2);
  for (int i = 0; i < 5; ++i) {
    w.waits("node-0", w.epoch());
    w.advance(2000);
  }
  ASSERT_EQ(w.plan().retries, 5);
  w.depose(0);
  w.lead(1);
  w.waits("node-0", w.epoch());
  w.advance(2000);
  EXPECT_EQ(w.plan().retries, 6);
}

TEST(Retry, a_link_that_broke_and_came_back_costs_a_new_epoch_at_once_and_nobody) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.suspect(w.worker("node-0"), {w.worker("node-2")}, Evidence::kLink);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kRetry);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
  w.suspect(to_string(w.worker("node-2")), Epoch(1), {{w.worker("node-0"), Evidence::kLink, 1}});  // the other side
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Retry, a_link_that_breaks_again_without_a_commit_between_costs_one_of_the_two) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.suspect(w.worker("node-0"), {w.worker("node-2")}, Evidence::kLink);
  ASSERT_EQ(w.plans.size(), 2U);
  w.suspect(w.worker("node-0"), {w.worker("node-2")}, Evidence::kLink);
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().cause, Cause::kWorkerLost);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
}

TEST(Retry, nine_breaks_with_commits_between_cost_nobody_and_the_tenth_within_five_minutes_does) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  for (int i = 0; i < 9; ++i) {
    w.suspect(w.worker("node-0"), {w.worker("node-2")}, Evidence::kLink);
    ASSERT_EQ(w.plan().cause, Cause::kRetry) << i;
    for (int node = 0; node < 3; ++node) w.set_worker(w.name(node), WorkerState::kTraining, w.epoch());
    w.progress("node-0", 10 + i);
    w.advance(3000);
  }
  EXPECT_EQ(w.members().size(), 3U);
  w.suspect(w.worker("node-0"), {w.worker("node-2")}, Evidence::kLink);
  w.advance(2000);
  EXPECT_EQ(w.members().size(), 2U);
}

TEST(Retry, one_that_cannot_be_connected_to_is_waited_for_and_then_left_out) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job();
  w.put_job(job);
  for (int i = 0; i < 3; ++i) w.put_node(w.record(w.name(i)));
  for (int i = 0; i < 3; ++i) w.set_worker(w.name(i), WorkerState::kReady);
  ASSERT_EQ(w.plans.size(), 1U);
  for (const char* node : {"node-0", "node-1"}) w.suspect(w.worker(node), {w.worker("node-2")}, Evidence::kUnreachable);
  w.waits("node-0", w.epoch());  // nobody retries while that is open
  w.advance(1900);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(200);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
}

TEST(Retry, below_min_nodes_one_that_was_silent_and_speaks_again_goes_on_with_all) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job();
  job.elastic.min_nodes = 3;
  w.train_on(3, job);
  for (const char* node : {"node-0", "node-1"}) w.suspect(w.worker(node), {w.worker("node-2")}, Evidence::kSilence);
  w.advance(2000);
  EXPECT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.status().state, JobState::kWaiting);
  for (const char* node : {"node-0", "node-1"}) w.suspect(w.worker(node), {w.worker("node-2")}, Evidence::kLink);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members().size(), 3U);
}

TEST(Retry, below_min_nodes_one_that_stays_lost_is_ended_by_its_agent_after_ten_seconds) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job(1);  // one group: what node-2 holds is nowhere else
  job.elastic.min_nodes = 3;
  w.train_on(3, job);
  for (const char* node : {"node-0", "node-1"}) w.suspect(w.worker(node), {w.worker("node-2")}, Evidence::kHang);
  w.advance(9900);
  const auto ends = [&] { return assignment_from_json(w.etcd.get(w.keys.assignment(NodeId("node-2")))->value)->ends; };
  EXPECT_FALSE(ends());
  w.advance(200);
  EXPECT_EQ(ends(), w.worker("node-2"));
  EXPECT_EQ(w.plans.size(), 1U);
  w.set_worker("node-2", WorkerState::kReady, {}, 1);  // its agent has obeyed
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members().size(), 3U);
}

TEST(Retry, below_min_nodes_one_whose_state_stands_elsewhere_is_ended_at_once) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job(2);
  job.elastic.min_nodes = 4;
  w.train_on(4, job);
  ASSERT_EQ(w.plan().placement.groups.size(), 2U);
  for (const char* node : {"node-0", "node-1", "node-2"})
    w.suspect(w.worker(node), {w.worker("node-3")}, Evidence::kHang);
  EXPECT_EQ(assignment_from_json(w.etcd.get(w.keys.assignment(NodeId("node-3")))->value)->ends, w.worker("node-3"));
}

TEST(Retry, while_a_boundary_plan_is_pending_a_member_interrupted_before_it_makes_that_plan_begin_at_once) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.put_node(w.record("node-2"));
  w.warm("node-2");
  w.advance(500);
  ASSERT_EQ(w.plans.size(), 2U);
  ASSERT_EQ(w.plan().when, When::kBoundary);
  w.waits("node-0", Epoch(1));
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().when, When::kNow);
  EXPECT_EQ(w.plan().cause, Cause::kRetry);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
}

TEST(Retry, a_plan_that_ends_the_job_is_made_anew_after_its_retry) {
  CoreWorld w;
  train_and_wish_to_stop(w);
  w.pump();
  ASSERT_EQ(w.plans.size(), 2U);
  ASSERT_TRUE(w.plan().ends);
  w.waits("node-0", Epoch(1));
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_FALSE(w.plan().ends);
  EXPECT_EQ(w.plan().cause, Cause::kRetry);
  for (int node = 0; node < 2; ++node) w.set_worker(w.name(node), WorkerState::kTraining, Epoch(3));
  ASSERT_EQ(w.plans.size(), 4U);
  EXPECT_TRUE(w.plan().ends);
}

TEST(Retry, a_job_of_one_member_that_names_itself_tries_again_and_fails_like_the_others) {
  CoreWorld w;
  w.start();
  w.train_on(1);
  for (int i = 0; i < 3; ++i) {
    w.waits("node-0", w.epoch());
    w.suspect(w.worker("node-0"), {w.worker("node-0")}, Evidence::kSelf);
    w.advance(600);
  }
  EXPECT_EQ(w.plans.size(), 3U);
  EXPECT_NE(w.etcd.get(w.keys.outcome("job")), nullptr);
}

TEST(Retry, another_plan_between_does_not_make_a_fault_forgotten) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  for (int i = 0; i < 2; ++i) {
    for (const char* node : {"node-0", "node-1", "node-2"})
      w.suspect(w.worker(node), {w.worker(node)}, Evidence::kSelf);
    w.advance(500);
  }
  ASSERT_TRUE(leaves_live_out(w.plan()));
  w.waits("node-0", w.epoch());
  w.advance(2000);
  ASSERT_EQ(w.plans.size(), 4U);
  EXPECT_TRUE(leaves_live_out(w.plan()));
  w.agent_says_exit("node-2");
  ASSERT_EQ(w.plans.size(), 5U);
  EXPECT_TRUE(leaves_live_out(w.plan()));
}

TEST(Retry, a_job_that_shall_stop_does_not_wait_for_the_end_of_retries) {
  CoreWorld w;
  train_and_wish_to_stop(w);
  for (int i = 0; i < 8 && w.etcd.get(w.keys.outcome("job")) == nullptr; ++i) {
    w.waits("node-0", w.plan().ends ? w.plan().parent : w.epoch());
    w.advance(1000);
  }
  ASSERT_NE(w.etcd.get(w.keys.outcome("job")), nullptr) << w.status().reason;
  const auto outcome = job_outcome_from_json(w.etcd.get(w.keys.outcome("job"))->value);
  EXPECT_EQ(outcome->state, JobState::kStopped);
  EXPECT_NE(outcome->reason.find("it could not be saved, for nobody trains"), std::string::npos) << outcome->reason;
}

TEST(Retry, a_lone_member_that_is_lost_but_alive_is_ended_so_that_another_takes_its_slot) {
  CoreWorld w;
  w.start();
  w.train_on(1);
  w.suspect("node-0", w.epoch(), {{w.worker("node-0"), Evidence::kHang, w.now.wall_ms}});
  w.advance(10'100);
  EXPECT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(assignment_from_json(w.etcd.get(w.keys.assignment(NodeId("node-0")))->value)->ends, w.worker("node-0"));
  w.set_worker("node-0", WorkerState::kReady, {}, 1);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Retry, a_fault_that_all_see_is_done_again_then_from_a_snapshot_and_a_third_time_the_job_has_failed) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  const auto all_name_themselves = [&] {
    for (const char* node : {"node-0", "node-1"}) {
      w.waits(node, w.epoch());
      w.suspect(w.worker(node), {w.worker(node)}, Evidence::kSelf);
    }
    w.advance(300);
  };
  all_name_themselves();
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kRetry);
  EXPECT_FALSE(leaves_live_out(w.plan()));
  all_name_themselves();
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_TRUE(leaves_live_out(w.plan()));
  EXPECT_EQ(w.members().size(), 2U);
  all_name_themselves();
  EXPECT_EQ(w.plans.size(), 3U);
  const auto outcome = job_outcome_from_json(w.etcd.get(w.keys.outcome("job"))->value);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->state, JobState::kFailed);
  EXPECT_NE(outcome->reason.find("a fault that all members see"), std::string::npos) << outcome->reason;
}

}  // namespace
}  // namespace regroup::coordinator::test
