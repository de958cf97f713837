// Who is removed, on what evidence, and what is planned next.
#include "coordinator/core/blame.hpp"
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

using Names = std::vector<std::string>;

TEST(LostWorkers, an_exit_seen_by_the_agent_makes_the_next_plan_at_once) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  const auto before = w.now.wall_ms;
  w.agent_says_exit("node-2");
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-3"}));
  EXPECT_EQ(w.plan().when, When::kNow);
  EXPECT_EQ(w.plan().cause, Cause::kWorkerLost);
  EXPECT_EQ(w.plan().origin, Origin::kResume);
  EXPECT_EQ(w.plan().parent, Epoch(1));
  EXPECT_EQ(w.plan().detected_at_ms, before - 1);
  EXPECT_EQ(w.plan().decided_at_ms, before);
  EXPECT_NE(w.plan().reason.find("node-2/0000000000000001/0/0: exit (says its agent)"), std::string::npos)
      << w.plan().reason;
  ASSERT_EQ(w.plan().snapshot_donors.size(), 1U);
  EXPECT_EQ(w.plan().snapshot_donors.front().node, NodeId("node-2"));
}

TEST(LostWorkers, end_of_file_seen_by_one_peer_removes_the_accused_and_not_the_reporter) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.suspect(w.worker("node-0"), {w.worker("node-3")}, Evidence::kEof);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
}

TEST(LostWorkers, two_deaths_seen_first_by_one_peer_do_not_cost_the_peer) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.suspect(w.worker("node-0"), {w.worker("node-2"), w.worker("node-3")}, Evidence::kEof);
  EXPECT_EQ(w.plans.size(), 1U);  // it may be cut off itself
  w.suspect(w.worker("node-1"), {w.worker("node-2"), w.worker("node-3")}, Evidence::kEof);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
}

TEST(LostWorkers, one_survivor_of_three_whose_connections_ended_stays) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.suspect(w.worker("node-0"), {w.worker("node-1"), w.worker("node-2")}, Evidence::kEof);
  w.advance(900);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(150);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), Names{"node-0"});
}

TEST(LostWorkers, one_that_hears_nobody_while_all_hear_it_goes) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.suspect(w.worker("node-3"), {w.worker("node-0"), w.worker("node-1"), w.worker("node-2")}, Evidence::kSilence);
  w.advance(900);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(150);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
}

TEST(LostWorkers, a_silent_worker_is_removed_as_soon_as_all_others_agree) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.suspect(w.worker("node-0"), {w.worker("node-3")}, Evidence::kSilence);
  EXPECT_EQ(w.plans.size(), 1U);
  w.suspect(w.worker("node-1"), {w.worker("node-3")}, Evidence::kSilence);
  EXPECT_EQ(w.plans.size(), 1U);
  w.suspect(w.worker("node-2"), {w.worker("node-3")}, Evidence::kSilence);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
  EXPECT_EQ(w.plan().cause, Cause::kSilent);
}

TEST(LostWorkers, one_voice_alone_about_silence_is_believed_after_a_moment) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.suspect(w.worker("node-0"), {w.worker("node-3")}, Evidence::kSilence);
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
}

TEST(LostWorkers, a_cut_off_worker_that_reports_first_is_the_one_to_go) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.suspect(w.worker("node-3"), {w.worker("node-0"), w.worker("node-1"), w.worker("node-2")}, Evidence::kSilence);
  EXPECT_EQ(w.plans.size(), 1U);
  // The first objector alone settles nothing: the two that have said nothing yet are given their moment.
  w.suspect(w.worker("node-0"), {w.worker("node-3")}, Evidence::kSilence);
  w.suspect(w.worker("node-1"), {w.worker("node-3")}, Evidence::kSilence);
  w.suspect(w.worker("node-2"), {w.worker("node-3")}, Evidence::kSilence);
  w.advance(300);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1", "node-2"}));
}

TEST(LostWorkers, a_hang_that_its_agent_reports_or_a_fault_that_one_reports_itself_needs_no_other_voice) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.suspect("node-1", w.epoch(), {{w.worker("node-1"), Evidence::kHang, w.now.wall_ms}});
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kHang);
  w.suspect(w.worker("node-2"), {w.worker("node-2")}, Evidence::kSelf);
  EXPECT_EQ(w.plans.size(), 2U);  // perhaps all see the same
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().cause, Cause::kFault);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-3"}));
}

TEST(LostWorkers, reports_of_another_epoch_or_by_strangers_or_about_strangers_change_nothing) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.agent_says_exit("node-2");
  ASSERT_EQ(w.plans.size(), 2U);
  w.progress("node-0", 2);
  w.suspect(to_string(w.worker("node-0")), Epoch(1), {{w.worker("node-1"), Evidence::kEof, 1}});  // of epoch 1
  w.suspect(to_string(w.worker("node-2")), Epoch(2), {{w.worker("node-1"), Evidence::kEof, 1}});  // no member
  w.suspect(to_string(w.worker("node-0")), Epoch(2), {{w.worker("node-9"), Evidence::kEof, 1}});  // nobody
  w.suspect("node-7", Epoch(2), {{w.worker("node-1"), Evidence::kExit, 1}});                      // not its agent
  w.suspect("node-1", Epoch(2), {{w.worker("node-1", 5), Evidence::kExit, 1}});                   // another life
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(LostWorkers, a_new_life_of_the_agent_or_of_the_slot_proves_the_old_one_dead) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  NodeRecord r = w.record("node-1");
  r.incarnation = 9;
  r.workers.clear();
  w.put_node(r);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kNodeLost);
  w.set_worker("node-2", WorkerState::kStarting, {}, 1);
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().cause, Cause::kWorkerLost);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-3"}));
}

TEST(LostWorkers, an_absent_node_is_lost_after_its_grace) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.vanish("node-1");
  w.advance(1000);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(700);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().cause, Cause::kNodeLost);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-2"}));
}

TEST(LostWorkers, progress_newer_than_the_absence_proves_every_member_alive) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.vanish("node-1");
  for (int second = 0; second < 20; ++second) {
    w.progress("node-0", 2 + second);
    w.advance(1000);
  }
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(31'000);  // ... but not for ever
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(LostWorkers, a_peer_that_hears_an_absent_worker_proves_it_alive_unless_a_plan_waits_for_it) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  for (int i = 0; i < 3; ++i) w.suspect(w.worker(w.name(i)), {}, Evidence::kEof);  // they accuse nobody
  w.vanish("node-1");
  w.advance(20'000);
  EXPECT_EQ(w.plans.size(), 1U);
  w.put_node(w.record("node-7"));
  w.set_worker("node-7", WorkerState::kWarm, w.epoch());
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);  // the newcomer's, which node-1 cannot hear of; and that without it
  EXPECT_EQ(w.plan().cause, Cause::kNodeLost);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-2", "node-7"}));
}

TEST(LostWorkers, an_etcd_that_was_frozen_and_wakes_with_every_lease_expired_disturbs_nobody) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.frozen = true;
  w.advance(10'000);
  w.frozen = false;
  std::vector<NodeRecord> records;
  for (int i = 0; i < 4; ++i) records.push_back(w.record(w.name(i)));
  for (int i = 0; i < 4; ++i) w.vanish(w.name(i));
  w.advance(1500);  // agents come back one by one
  for (const NodeRecord& r : records) {
    w.put_node(r);
    w.advance(400);
  }
  w.advance(10'000);
  EXPECT_EQ(w.plans.size(), 1U);
}

TEST(LostWorkers, after_the_freeze_a_node_that_does_not_come_back_is_lost_in_the_end) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  w.frozen = true;
  w.advance(5000);
  w.frozen = false;
  w.vanish("node-2");
  w.advance(3500);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), (Names{"node-0", "node-1"}));
}

TEST(LostWorkers, a_cut_watch_ends_the_session_as_well) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  (void)w.core().step(w.now, {StoreUpdate{WatchUpdate{false, false, 0, {}}}});
  w.vanish("node-2");  // reconnects, with the news
  w.advance(3900);
  EXPECT_EQ(w.plans.size(), 1U);
  w.advance(500);
  EXPECT_EQ(w.plans.size(), 2U);
}

TEST(LostWorkers, a_second_loss_before_the_first_is_overcome_makes_the_next_epoch) {
  CoreWorld w;
  w.start();
  w.train_on(4);
  w.agent_says_exit("node-0");
  w.agent_says_exit("node-1");
  ASSERT_EQ(w.plans.size(), 3U);
  EXPECT_EQ(w.plan().parent, Epoch(2));
  EXPECT_EQ(w.members(), (Names{"node-2", "node-3"}));
}

TEST(LostWorkers, a_node_that_was_refused_is_named_by_what_it_and_the_others_say) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job();
  job.elastic.min_nodes = 2;
  w.train_on(2, job);
  w.set_worker("node-0", WorkerState::kWaiting, w.epoch());
  w.set_worker("node-1", WorkerState::kFailed, w.epoch(), 1);
  w.agent_says_exit("node-1");
  w.advance(1000);
  const JobStatus status = w.status();
  EXPECT_NE(status.reason.find("; node-0 waits for text"), std::string::npos) << status.reason;
  ASSERT_EQ(status.notes.size(), 1U);
  EXPECT_NE(status.notes[0].find("node-1/"), std::string::npos) << status.notes[0];
  EXPECT_NE(status.notes[0].find(" cannot work for the job: text"), std::string::npos) << status.notes[0];
}

TEST(LostWorkers, a_member_that_cannot_save_is_named_and_a_node_that_is_gone_is_not) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  for (const char* node : {"node-0", "gone"}) {
    ProgressRecord progress;
    progress.epoch = w.epoch();
    progress.save_problem = "after step 20: disk full";
    w.etcd.put(w.keys.progress("job", NodeId(node)), to_json(progress));
  }
  w.advance(1000);
  EXPECT_EQ(w.status().notes,
            std::vector<std::string>{"no checkpoint could be written on node node-0 after step 20: disk full"});
}

TEST(LostWorkers, below_min_nodes_survivors_wait_and_go_on_with_the_newcomer) {
  CoreWorld w;
  w.start();
  JobSpec job = tiny_job();
  job.elastic.min_nodes = 2;
  w.train_on(2, job);
  w.agent_says_exit("node-1");
  EXPECT_EQ(w.plans.size(), 1U);
  EXPECT_EQ(w.status().state, JobState::kWaiting);
  EXPECT_NE(w.status().reason.find("1 node left, the job needs at least 2"), std::string::npos) << w.status().reason;
  w.set_worker("node-1", WorkerState::kReady, {}, 1);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.plan().when, When::kNow);
  EXPECT_EQ(w.plan().members.size(), 2U);
  EXPECT_EQ(w.plan().members.front().worker, w.worker("node-0"));  // the survivor keeps its rank
}

TEST(LostWorkers, a_lone_newcomer_never_starts_fresh) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  w.vanish("node-0");
  w.vanish("node-1");
  w.advance(5000);
  w.put_node(w.record("node-9"));
  w.set_worker("node-9", WorkerState::kReady);
  w.advance(3000);
  ASSERT_EQ(w.plans.size(), 2U);
  EXPECT_EQ(w.members(), Names{"node-9"});
  EXPECT_EQ(w.plan().origin, Origin::kResume);
  EXPECT_TRUE(w.plan().snapshot_donors.empty());
  // It finds no state and waits. An old node comes back, its agent still has a snapshot: it is asked.
  w.waits("node-9", w.epoch(), true);
  w.advance(2000);
  EXPECT_EQ(w.plans.size(), 2U);
  NodeRecord back = w.record("node-0");
  w.put_node(back);
  w.advance(1000);
  ASSERT_EQ(w.plans.size(), 3U);
  ASSERT_EQ(w.plan().snapshot_donors.size(), 1U);
  EXPECT_EQ(w.plan().snapshot_donors.front().node, NodeId("node-0"));
  EXPECT_EQ(w.plan().origin, Origin::kResume);
}

TEST(Blame, the_smallest_cover_wins_then_the_most_accused_then_the_fewest_bytes) {
  // 0 and 1 accuse each other, all talk, 1 holds less.
  EXPECT_EQ(find_guilty({2, {false, false}, {10, 5}, {{0, 1}, {1, 0}}}).guilty, (std::vector<int>{1}));
  EXPECT_EQ(find_guilty({2, {false, false}, {5, 5}, {{0, 1}, {1, 0}}}).guilty, (std::vector<int>{0}));
  // 0 against all, all against 0.
  EXPECT_EQ(
      find_guilty({4, std::vector<bool>(4), {1, 9, 9, 9}, {{0, 1}, {0, 2}, {0, 3}, {1, 0}, {2, 0}, {3, 0}}}).guilty,
      (std::vector<int>{0}));
  // Two halves that do not see each other: one of them goes, the one that holds less.
  const std::vector<Accusation> split{{0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 0}, {2, 1}, {3, 0}, {3, 1}};
  EXPECT_EQ(find_guilty({4, std::vector<bool>(4), {9, 9, 8, 9}, split}).guilty, (std::vector<int>{2, 3}));
  // The words of one known to be lost are void.
  EXPECT_EQ(find_guilty({3, {true, false, false}, {1, 1, 1}, {{0, 1}, {0, 2}}}).guilty, (std::vector<int>{0}));
}

TEST(Blame, a_lone_voice_against_several_is_itself_the_cover_once_the_others_had_their_time) {
  const std::vector<Accusation> young{{3, 0, true}, {3, 1, true}, {3, 2, true}};
  EXPECT_TRUE(find_guilty({4, std::vector<bool>(4), {1, 1, 1, 9}, young}).undecided);
  EXPECT_TRUE(find_guilty({4, std::vector<bool>(4), {1, 1, 1, 9}, young}).guilty.empty());
  EXPECT_EQ(find_guilty({4, std::vector<bool>(4), {1, 1, 1, 9}, {{3, 0}, {3, 1}, {3, 2}}}).guilty,
            (std::vector<int>{3}));
}

TEST(Blame, a_quiet_one_that_all_others_accuse_is_guilty_at_once_however_young_that_is) {
  const Blame all = find_guilty({3, std::vector<bool>(3), {1, 1, 1}, {{0, 2, true}, {1, 2, true}}});
  EXPECT_EQ(all.guilty, (std::vector<int>{2}));
  EXPECT_FALSE(all.undecided);
  EXPECT_TRUE(find_guilty({3, std::vector<bool>(3), {1, 1, 1}, {{0, 2, true}}}).undecided);
  EXPECT_EQ(find_guilty({2, std::vector<bool>(2), {1, 1}, {{0, 1, true}}}).guilty, (std::vector<int>{1}));  // no third
}

TEST(Blame, an_ended_connection_needs_no_second_voice_unless_one_voice_names_several) {
  EXPECT_EQ(find_guilty({4, std::vector<bool>(4), {1, 1, 1, 1}, {{0, 3, true, true}}}).guilty, (std::vector<int>{3}));
  EXPECT_TRUE(find_guilty({4, std::vector<bool>(4), {1, 1, 1, 1}, {{0, 2, true, true}, {0, 3, true, true}}}).undecided);
  EXPECT_EQ(find_guilty({4, std::vector<bool>(4), {1, 1, 1, 1}, {{0, 2, false, true}, {0, 3, false, true}}}).guilty,
            (std::vector<int>{2, 3}));
}

TEST(Blame, a_hundred_that_cannot_reach_one_rack_are_settled_quickly) {
  BlameInput input;
  input.num_suspects = 140;
  input.certain.assign(140, false);
  input.bytes_held.assign(140, 1);
  for (int a = 0; a < 100; ++a) {
    for (int b = 100; b < 140; ++b) {
      input.accusations.push_back({a, b});
      input.accusations.push_back({b, a});
    }
  }
  const Blame blame = find_guilty(input);
  ASSERT_EQ(blame.guilty.size(), 40U);
  EXPECT_EQ(blame.guilty.front(), 100);
}

}  // namespace
}  // namespace regroup::coordinator::test
