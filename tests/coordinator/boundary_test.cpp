// Joining, leaving, scaling and restoring balance at a step boundary; lost workers on top of that; takeover.
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

using Names = std::vector<std::string>;

// One more node, started and warm for the current plan.
void join(CoreWorld& w, const std::string& node) {
  w.put_node(w.record(node));
  w.set_worker(node, WorkerState::kReady);
  w.warm(node);
}

void wish(CoreWorld& w, const std::string& id, const WishRecord& record) {
  w.etcd.put(w.keys.wishes("job") + id, to_json(record));
  w.pump();
}

TEST(Boundary, a_newcomer_joins_when_it_is_warm_and_not_before) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.put_node(w.record("node-5"));
  EXPECT_EQ(w.assigned("node-5"), "job");
  w.set_worker("node-5", WorkerState::kReady);
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 1U);
  w.set_worker("node-5", WorkerState::kWarm, Epoch(7));  // for another plan
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 1U);
  w.warm("node-5");
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().when, When::kBoundary);
  EXPECT_EQ(w.plan().cause, Cause::kJoin);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-5"}));
}

TEST(Boundary, a_newcomer_joins_an_epoch_whose_members_hold_their_state_before_its_first_commit) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.agent_says_exit("node-2");
  ASSERT_EQ(w.members(), (Names{"node-0", "node-1"}));
  w.set_worker("node-2", WorkerState::kReady, {}, 1);
  w.warm("node-2", 1);
  // nobody trains in the new epoch yet: it may still need what the old one's donors hold
  ASSERT_EQ(w.plans.size(), 2U);
  w.set_worker("node-0", WorkerState::kTraining, w.plan().parent);
  ASSERT_EQ(w.plans.size(), 2U);
  w.set_worker("node-0", WorkerState::kTraining, w.plan().epoch);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().cause, Cause::kJoin);
  EXPECT_EQ(w.plan().when, When::kBoundary);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));

  w.agent_says_exit("node-2", 1);  // before anybody has switched: what is held is what the plan in between said
  ASSERT_EQ(w.plans.size(), 4U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
  EXPECT_EQ(w.plan().placement, w.plans[1].placement);
}

TEST(Boundary, joiners_that_come_close_together_join_together) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  for (const char* node : {"node-5", "node-6"}) {
    w.put_node(w.record(node));
    w.set_worker(node, WorkerState::kReady);
  }
  w.warm("node-5");
  w.advance(200);
  EXPECT_EQ(w.plans.size(), 1U);
  w.warm("node-6");
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().members.size(), 4U);
}

TEST(Boundary, a_joiner_is_kept_waiting_for_a_slow_one_no_longer_than_the_batch) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  for (const char* node : {"node-5", "node-6"}) {
    w.put_node(w.record(node));
    w.set_worker(node, WorkerState::kReady);
  }
  w.warm("node-5");
  w.advance(400);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().members.size(), 3U);
  w.warm("node-6");
  w.advance(5000);
  EXPECT_EQ(w.plans.size(), 2U);  // until the first has taken effect
  w.progress("node-0", 3);
  w.set_worker("node-5", WorkerState::kTraining);
  w.warm("node-6");
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().members.size(), 4U);
}

TEST(Boundary, a_joiner_that_dies_before_the_boundary_makes_a_plan_without_it) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  join(w, "node-5");
  ASSERT_EQ(w.plans.size(), 2U);
  w.agent_says_exit("node-5");
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().when, When::kNow);
  EXPECT_EQ(w.plan().parent, Epoch(2));
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
}

TEST(Boundary, a_joiner_with_another_fingerprint_is_refused_with_a_sentence) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.put_node(w.record("node-5"));
  NodeRecord r = w.record("node-5");
  r.workers = {{w.worker("node-5"), "job", "unix:/x", WorkerState::kWarm, w.epoch(), "other", ""}};
  w.put_node(r);
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 1U);
  ASSERT_FALSE(w.status().notes.empty());
  EXPECT_NE(w.status().notes.front().find("its fingerprint other is not the members' same"), std::string::npos)
      << w.status().notes.front();
}

TEST(Boundary, a_drained_node_gives_its_state_as_a_donor_and_is_let_go_after_the_first_commit) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.etcd.put(w.keys.notice(NodeId("node-1")), to_json(NoticeRecord{NodeId("node-1"), NoticeKind::kDrain, 0}),
             w.lease_of("node-1"));
  w.pump();
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().when, When::kBoundary);
  EXPECT_EQ(w.plan().cause, Cause::kDrain);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-2"}));
  ASSERT_EQ(w.plan().donors.size(), 1U);
  EXPECT_EQ(w.plan().donors.front().worker, w.worker("node-1"));
  w.advance(2000);
  EXPECT_EQ(w.assigned("node-1"), "job");
  w.progress("node-0", 5);
  EXPECT_EQ(w.assigned("node-1"), "");
  w.advance(2000);
  EXPECT_EQ(w.assigned("node-1"), "");  // and not given out again
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Boundary, a_drain_that_would_leave_too_few_waits_and_goes_with_the_replacement) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job();
  job.elastic.min_nodes = 2;
  w.train_on(2, job);
  wish(w, "d", {WishKind::kDrain, 0, NodeId("node-1")});
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 1U);
  EXPECT_NE(w.status().notes.back().find("stay for now"), std::string::npos);
  join(w, "node-5");
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-5"}));
  ASSERT_EQ(w.plan().donors.size(), 1U);
}

TEST(Boundary, a_loss_while_a_drain_is_pending_keeps_the_leaving_worker_as_a_donor) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  wish(w, "d", {WishKind::kDrain, 0, NodeId("node-3")});
  ASSERT_EQ(w.plans.size(), 2U);
  w.suspect(to_string(w.worker("node-0")), Epoch(1), {{w.worker("node-2"), Evidence::kEof, 1}});  // still in epoch 1
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().when, When::kNow);
  EXPECT_EQ(w.plan().parent, Epoch(2));
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
  ASSERT_EQ(w.plan().donors.size(), 1U);
  EXPECT_EQ(w.plan().donors.front().worker, w.worker("node-3"));
}

TEST(Boundary, a_donor_that_dies_before_the_boundary_is_a_loss_too) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  wish(w, "d", {WishKind::kDrain, 0, NodeId("node-3")});
  ASSERT_EQ(w.plans.size(), 2U);
  w.agent_says_exit("node-3");
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().when, When::kNow);
  EXPECT_TRUE(w.plan().donors.empty());
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
}

TEST(Boundary, scaling_down_and_up_follows_the_newest_wish_within_the_jobs_limits) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  wish(w, "a", {WishKind::kScale, 2, {}});
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kScale);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
  EXPECT_EQ(w.plan().donors.size(), 2U);
  w.progress("node-0", 5);
  EXPECT_EQ(w.assigned("node-2"), "");
  EXPECT_EQ(w.assigned("node-3"), "");
  wish(w, "b", {WishKind::kScale, 3, {}});
  EXPECT_EQ(w.etcd.get(w.keys.wishes("job") + "a"), nullptr);
  EXPECT_EQ(w.assigned("node-2"), "job");
  w.set_worker("node-2", WorkerState::kWarm, w.epoch(), 1);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
  wish(w, "c", {WishKind::kScale, 99, {}});
  w.progress("node-0", 9);
  EXPECT_NE(w.status().notes.front().find("is cut to 16"), std::string::npos) << w.status().notes.front();
}

TEST(Boundary, a_drain_that_is_taken_back_lets_the_node_come_back) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  wish(w, "d", {WishKind::kDrain, 0, NodeId("node-1")});
  w.progress("node-0", 5);
  EXPECT_EQ(w.assigned("node-1"), "");
  w.etcd.erase(w.keys.wishes("job") + "d");
  w.advance(100);
  EXPECT_EQ(w.assigned("node-1"), "job");
}

TEST(Boundary, after_a_loss_balance_is_restored_once_when_no_worker_is_on_its_way) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.vanish("node-3");
  w.advance(2000);
  ASSERT_EQ(w.plans.size(), 2U);
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 2U);  // the hurried one has not committed yet
  w.progress("node-0", 5);
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().cause, Cause::kBalance);
  EXPECT_EQ(w.plan().when, When::kBoundary);
  w.progress("node-0", 6);
  w.advance(20'000);
  EXPECT_EQ(w.plans.size(), 3U);
}

TEST(Boundary, a_restarting_worker_is_waited_for_before_balance_is_restored) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.agent_says_exit("node-3");
  w.set_worker("node-3", WorkerState::kStarting, {}, 1);
  w.progress("node-0", 5);
  w.advance(4500);
  ASSERT_EQ(w.plans.size(), 2U);
  w.set_worker("node-3", WorkerState::kWarm, w.epoch(), 1);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().cause, Cause::kJoin);
  EXPECT_EQ(w.plan().members.size(), 4U);
}

TEST(Takeover, the_next_leader_reads_everything_from_etcd_and_changes_nothing) {
  CoreWorld w(2);
  w.start(0);
  w.watch_only(1);
  w.train_on(3);
  w.depose(0);
  w.lead(1);
  w.advance(10'000);
  EXPECT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.status().coordinator, "coordinator-1");
  w.agent_says_exit("node-1");
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Takeover, a_loss_while_nobody_leads_is_planned_at_the_moment_of_the_takeover) {
  CoreWorld w(2);
  w.start(0);
  w.watch_only(1);
  w.train_on(3);
  w.depose(0);
  w.agent_says_exit("node-1");
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 1U);
  w.lead(1);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(Takeover, a_deposed_leader_that_does_not_know_it_writes_nothing) {
  CoreWorld w(2);
  w.start(0);
  w.watch_only(1);
  w.train_on(3);
  w.depose(0, false);
  w.agent_says_exit("node-1");
  EXPECT_EQ(w.plans.size(), 1U);
  EXPECT_FALSE(w.refused.empty());
  w.lead(1);
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.epoch(), Epoch(2));
}

TEST(Takeover, a_pending_boundary_plan_is_left_alone_by_the_next_leader) {
  CoreWorld w(2);
  w.start(0);
  w.watch_only(1);
  w.train_on(3);
  join(w, "node-5");
  ASSERT_EQ(w.plans.size(), 2U);
  w.depose(0);
  w.lead(1);
  w.advance(3000);
  EXPECT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.status().state, JobState::kRegrouping);
}

}  // namespace
}  // namespace regroup::coordinator::test
