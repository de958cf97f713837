// Whom the agent starts, tells, kills and lets go.
#include "tests/agent/core_world.hpp"

namespace regroup::agent {
namespace {

TEST(AgentCore, a_free_node_registers_and_starts_nothing) {
  World w;
  w.after(milliseconds(50));
  EXPECT_EQ(w.node().node, NodeId("n"));
  EXPECT_TRUE(w.node().workers.empty());
  EXPECT_TRUE(w.all<StartWorker>().empty());
}

TEST(AgentCore, workers_start_once_the_assigned_job_is_known) {
  World w(2);
  w.feed(Assigned{"tiny"});
  ASSERT_EQ(w.all<FollowJob>().size(), 1u);
  EXPECT_TRUE(w.all<StartWorker>().empty());
  w.feed(JobKnown{testing::tiny_job()});
  EXPECT_EQ(w.all<StartWorker>().size(), 2u);
  EXPECT_EQ(w.node().workers.size(), 2u);
}

TEST(AgentCore, a_ready_worker_is_told_whom_to_dial_and_a_member_its_plan) {
  World w;
  w.feed(Assigned{"tiny"});
  w.feed(PlanKnown{World::plan_without(7)});  // before its job: not lost
  w.feed(JobKnown{testing::tiny_job()});
  const WorkerId id = w.all<StartWorker>().at(0).worker;
  EXPECT_EQ(w.all<StartWorker>().at(0).highest_epoch, Epoch(7));
  w.get_ready(id);
  ASSERT_EQ(w.told<DialPeers>().size(), 1u);
  EXPECT_EQ(w.told<DialPeers>()[0].epoch, Epoch(7));
  EXPECT_TRUE(w.told<NewPlan>().empty());
  w.feed(PlanKnown{World::plan_with(id, 8)});
  ASSERT_EQ(w.told<NewPlan>().size(), 1u);
  EXPECT_TRUE(w.told<DialPeers>().empty());
}

TEST(AgentCore, a_lower_epoch_and_a_plan_that_violates_the_rules_are_not_carried_out) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(PlanKnown{World::plan_with(id, 7)});
  EXPECT_TRUE(w.all<Tell>().empty());
  Plan bad = World::plan_with(id, 9);
  bad.placement.groups[1].ranks[0] = Rank(0);
  w.feed(PlanKnown{bad});
  EXPECT_TRUE(w.all<Tell>().empty());
  EXPECT_EQ(w.all<Refused>().size(), 1u);
  EXPECT_EQ(w.node().highest_epoch, Epoch(8));
}

TEST(AgentCore, a_dead_member_is_reported_at_once_and_replaced_a_moment_later) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(WorkerEnded{id, 9, 0});
  const auto report = suspect_from_json(w.etcd.at("/regroup/c/suspects/n"));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->suspicions.at(0).whom, id);
  EXPECT_EQ(report->suspicions.at(0).evidence, Evidence::kExit);
  EXPECT_TRUE(w.node().workers.empty());
  w.after(milliseconds(250));
  ASSERT_EQ(w.all<StartWorker>().size(), 1u);
  EXPECT_EQ(w.all<StartWorker>()[0].worker.start, 1);
  EXPECT_EQ(w.node().workers.at(0).id.start, 1);
  // A plan that does without the dead one ends the suspicion.
  w.feed(PlanKnown{World::plan_without(9)});
  EXPECT_FALSE(w.etcd.contains("/regroup/c/suspects/n"));
}

// Until the next worker starts, after this one has failed.
long ms_until_restart(World& w, WorkerId& id) {
  w.feed(WorkerEnded{id, 0, 1});
  long waited = 0;
  while (w.all<StartWorker>().empty() && waited < 100'000) {
    w.after(milliseconds(250));
    waited += 250;
  }
  id = w.all<StartWorker>().at(0).worker;
  return waited;
}

TEST(AgentCore, restarts_back_off_also_when_each_worker_commits_a_step_first) {
  for (const bool commits : {false, true}) {
    World w;
    WorkerId id = w.ready_worker();
    std::vector<long> delays;
    for (int i = 0; i < 4; ++i) {
      if (commits) w.feed(WorkerSays{id, Committed{}});
      delays.push_back(ms_until_restart(w, id));
    }
    EXPECT_EQ(delays, (std::vector<long>{250, 1000, 2000, 4000}));
  }
}

TEST(AgentCore, a_hundred_commits_or_a_minute_of_training_forgive) {
  World w;
  WorkerId id = w.ready_worker();
  for (int i = 0; i < 3; ++i) (void)ms_until_restart(w, id);
  for (int i = 0; i < 100; ++i) w.feed(WorkerSays{id, Committed{}});
  EXPECT_EQ(ms_until_restart(w, id), 250);
  EXPECT_EQ(ms_until_restart(w, id), 1000);
  w.after(milliseconds(60'000));  // that it starts and waits is no training
  w.feed(WorkerSays{id, Committed{}});
  EXPECT_EQ(ms_until_restart(w, id), 2000);
  w.feed(WorkerSays{id, Committed{}});
  w.after(milliseconds(60'000));
  w.feed(WorkerSays{id, Committed{}});
  EXPECT_EQ(ms_until_restart(w, id), 250);
}

TEST(AgentCore, a_spare_is_kept_once_the_worker_has_got_going_and_each_start_uses_it_up) {
  World w;
  WorkerId id = w.ready_worker();
  for (int life = 0; life < 2; ++life) {
    w.feed(WorkerSays{id, Committed{}});
    EXPECT_TRUE(w.all<KeepSpare>().empty());
    w.feed(WorkerSays{id, Committed{}});
    EXPECT_EQ(w.all<KeepSpare>().size(), 1u);
    w.feed(WorkerSays{id, Committed{}});
    EXPECT_TRUE(w.all<KeepSpare>().empty());
    (void)ms_until_restart(w, id);
  }
}

TEST(AgentCore, a_fault_stays_visible_while_the_restart_waits) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(WorkerSays{id, Fault{"the data is damaged"}});
  w.feed(WorkerEnded{id, 0, 1});
  w.after(milliseconds(250));
  const WorkerId next = w.all<StartWorker>().at(0).worker;
  w.feed(WorkerSays{next, StateChanged{WorkerState::kFailed, Epoch(0), "the data is damaged"}});
  EXPECT_EQ(w.all<KillWorker>().size(), 1u);  // it sits there and cannot go on
  w.feed(WorkerEnded{next, 9, 0});
  EXPECT_TRUE(w.all<StartWorker>().empty());
  EXPECT_EQ(w.node().workers.at(0).state, WorkerState::kFailed);
  EXPECT_EQ(w.node().workers.at(0).text, "the data is damaged");
}

TEST(AgentCore, why_a_worker_cannot_start_is_in_the_nodes_record) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(WorkerEnded{id, 0, 127, "libx.so: cannot open shared object file"});
  EXPECT_NE(w.etcd.at("/regroup/c/nodes/n").find("it cannot start: libx.so: cannot open"), std::string::npos)
      << w.etcd.at("/regroup/c/nodes/n");
}

TEST(AgentCore, an_excluded_worker_is_killed_and_its_end_is_no_suspicion) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(PlanKnown{World::plan_without(9)});
  ASSERT_EQ(w.all<KillWorker>().size(), 1u);
  w.feed(WorkerEnded{id, 9, 0});
  EXPECT_FALSE(w.etcd.contains("/regroup/c/suspects/n"));
  w.after(milliseconds(250));
  EXPECT_EQ(w.all<StartWorker>().size(), 1u);  // a new life, which may join
}

TEST(AgentCore, a_donor_is_left_alive) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  Plan leaving = World::plan_without(9);
  leaving.donors.push_back({id, "unix:/w", "unix:/agent-n"});
  w.feed(PlanKnown{leaving});
  EXPECT_TRUE(w.all<KillWorker>().empty());
  EXPECT_EQ(w.told<NewPlan>().size(), 1u);
}

TEST(AgentCore, etcd_silent_means_nothing_to_the_workers) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  for (int i = 0; i < 200; ++i) {
    w.after(milliseconds(1000));
    EXPECT_TRUE(w.all<KillWorker>().empty());
    EXPECT_TRUE(w.all<Tell>().empty());
  }
}

TEST(AgentCore, a_finished_worker_stays_finished) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(WorkerSays{id, Finished{Step(60), "ab"}});
  w.feed(WorkerSays{id, StateChanged{WorkerState::kWaiting, Epoch(0), "the next plan"}});
  EXPECT_EQ(w.node().workers.at(0).state, WorkerState::kFinished);
  EXPECT_EQ(progress_from_json(w.etcd.at("/regroup/c/jobs/tiny/progress/n"))->weights_sha256, "ab");
}

TEST(AgentCore, a_last_step_that_is_not_saved_is_said_with_its_reason) {
  for (const std::string how : {"saved", "failed", "failed first", "never", "before", "nowhere"}) {
    World w;
    JobSpec job = testing::tiny_job();
    if (how != "nowhere") job.snapshots.checkpoint_dir = "/c";
    w.feed(Assigned{"tiny"});
    w.feed(JobKnown{job});
    const WorkerId id = w.all<StartWorker>().at(0).worker;
    w.get_ready(id);
    w.feed(PlanKnown{World::plan_with(id, 8)});
    CheckpointSaved saved;
    saved.worker = id;
    saved.step = Step(60);
    saved.committed = how == "saved";
    saved.problem = how.starts_with("failed") ? "disk full" : "";
    if (how == "saved" || how.starts_with("failed")) w.feed(saved);
    saved.step = Step(50);
    saved.problem.clear();
    if (how == "failed first") w.feed(saved);  // an earlier one that took longer
    w.feed(WorkerSays{id, Finished{Step(60), "ab", how == "before"}});
    const auto progress = progress_from_json(w.etcd.at("/regroup/c/jobs/tiny/progress/n"));
    EXPECT_EQ(progress->state, ProgressState::kFinished);
    EXPECT_EQ(progress->reason, how.starts_with("failed") ? "disk full"
                                : how == "never"          ? "there was no memory for its copy"
                                                          : "")
        << how;
  }
}

TEST(AgentCore, a_save_that_failed_is_in_the_progress_until_one_succeeds) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  const auto problem_after = [&](std::int64_t step, const std::string& problem) {
    CheckpointSaved saved;
    saved.worker = id;
    saved.step = Step(step);
    saved.problem = problem;
    w.feed(saved);
    w.after(milliseconds(10000));
    return progress_from_json(w.etcd.at("/regroup/c/jobs/tiny/progress/n"))->save_problem;
  };
  EXPECT_EQ(problem_after(20, "the groups 0 and 1 hold different states"),
            "after step 20: the groups 0 and 1 hold different states");
  EXPECT_EQ(problem_after(30, "disk full"), "after step 30: disk full");
  EXPECT_EQ(problem_after(40, ""), "");
}

TEST(AgentCore, a_worker_is_told_what_an_earlier_one_found_out_about_the_nodes_files) {
  World w;
  WorkerId id = w.ready_worker();
  const auto next = [&] {
    w.feed(WorkerEnded{id, 9, 0});
    for (int i = 0; w.all<StartWorker>().empty() && i < 1000; ++i) w.after(milliseconds(250));
    const StartWorker start = w.all<StartWorker>().at(0);
    id = start.worker;
    w.get_ready(id);
    return start;
  };
  EXPECT_TRUE(next().storage_proven);
  w.feed(WorkerSays{id, StateChanged{WorkerState::kFailed, Epoch(0), "the data at P is not what the job has"}});
  EXPECT_FALSE(next().weights_doubted) << "it was refused for something else";
  w.feed(WorkerSays{id, WeightsRefused{}});
  w.feed(WorkerSays{id, StateChanged{WorkerState::kFailed, Epoch(0), "the weights on node n are not those"}});
  EXPECT_TRUE(next().weights_doubted);
  EXPECT_TRUE(next().weights_doubted) << "until one has trained";
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.commit(id, 8, 1, 1, {1, 2, 3, 4});
  EXPECT_FALSE(next().weights_doubted);
  World other;
  other.feed(Assigned{"tiny"});
  other.feed(JobKnown{testing::tiny_job()});
  EXPECT_FALSE(other.all<StartWorker>().at(0).storage_proven);
}

TEST(AgentCore, a_worker_that_no_plan_can_do_without_is_ended_when_asked_in_the_plans_epoch_alone) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(Assigned{"tiny", id, Epoch(7)});
  EXPECT_TRUE(w.all<KillWorker>().empty());
  WorkerId another = id;
  ++another.start;
  w.feed(Assigned{"tiny", another, Epoch(8)});
  EXPECT_TRUE(w.all<KillWorker>().empty());
  w.feed(Assigned{"tiny", id, Epoch(8)});
  ASSERT_EQ(w.all<KillWorker>().size(), 1u);
  EXPECT_EQ(w.all<KillWorker>().at(0).worker, id);
  w.feed(WorkerEnded{id, 9, 0});
  w.after(milliseconds(1000));
  ASSERT_EQ(w.all<StartWorker>().size(), 1u);
  // Asked before the plan is known here.
  const WorkerId next = w.all<StartWorker>().at(0).worker;
  w.get_ready(next);
  w.feed(Assigned{"tiny", next, Epoch(9)});
  EXPECT_TRUE(w.all<KillWorker>().empty());
  w.feed(PlanKnown{World::plan_with(next, 9)});
  ASSERT_EQ(w.all<KillWorker>().size(), 1u);
  EXPECT_EQ(w.all<KillWorker>().at(0).worker, next);
}

TEST(AgentCore, what_a_worker_lacks_and_what_is_in_safety_reach_the_coordinator) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(WorkerSays{id, StateChanged{WorkerState::kWaiting, Epoch(8), "step 7 lacks a block", true}});
  EXPECT_TRUE(w.node().workers.at(0).lacks);
  w.feed(WorkerSays{id, StateChanged{WorkerState::kWaiting, Epoch(8), "a newer plan", false}});
  EXPECT_FALSE(w.node().workers.at(0).lacks);
  w.commit(id, 8, 1, 1, {1, 2, 3, 4});
  const auto safe = [&] { return progress_from_json(w.etcd.at("/regroup/c/jobs/tiny/progress/n"))->safe; };
  EXPECT_EQ(safe(), Step(-1));
  SnapshotTaken taken;
  taken.info.step = Step(9);
  taken.info.safe = Step(8);
  w.feed(WorkerSays{id, taken});
  w.after(milliseconds(1000));
  EXPECT_EQ(safe(), Step(8));
}

TEST(AgentCore, a_worker_that_names_a_fault_is_not_failed_until_a_plan_goes_without_it) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(WorkerSays{id, Fault{"groups disagree"}});
  w.feed(WorkerSays{id, StateChanged{WorkerState::kWaiting, Epoch(8), "a newer plan than epoch 8: groups disagree"}});
  EXPECT_EQ(w.node().workers.at(0).state, WorkerState::kWaiting);
  w.feed(PlanKnown{World::plan_with(id, 9)});
  EXPECT_EQ(w.told<NewPlan>().size(), 1u);
}

TEST(AgentCore, a_drained_node_waits_until_its_job_lets_it_go) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(WorkerSays{id, StateChanged{WorkerState::kTraining, Epoch(0), ""}});
  w.feed(Terminate{});
  EXPECT_EQ(notice_from_json(w.etcd.at("/regroup/c/notices/n"))->kind, NoticeKind::kDrain);
  w.after(milliseconds(10'000));
  EXPECT_TRUE(w.all<Quit>().empty());
  w.feed(Assigned{""});
  EXPECT_EQ(w.told<StopWorker>().size(), 1u);
  w.feed(WorkerEnded{id, 0, 0});
  w.after(milliseconds(50), 1);
  EXPECT_TRUE(w.all<Quit>().empty());  // its last checkpoint is being written
  w.after(milliseconds(50));
  EXPECT_EQ(w.all<Quit>().size(), 1u);
}

TEST(AgentCore, a_drained_node_whose_worker_is_gone_stays_while_a_plan_may_need_its_snapshots) {
  Plan donates = World::plan_without(9);
  donates.snapshot_donors = {{NodeId("n"), "unix:/agent-n", Rank(0)}};
  for (const bool in_force : {true, false}) {
    World w;
    const WorkerId id = w.ready_worker();
    w.feed(PlanKnown{World::plan_with(id, 8)});
    w.feed(Terminate{});
    w.feed(WorkerEnded{id, 9, 0});
    w.after(milliseconds(1000));
    EXPECT_TRUE(w.all<Quit>().empty()) << "the next plan will fetch from here";
    w.feed(PlanKnown{donates});
    w.after(milliseconds(1000));
    EXPECT_TRUE(w.all<Quit>().empty());
    if (in_force)
      w.feed(Assigned{""});
    else
      w.feed(PlanKnown{World::plan_without(10)});
    w.after(milliseconds(50));
    EXPECT_EQ(w.all<Quit>().size(), 1u);
  }
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(Terminate{});
  w.feed(WorkerEnded{id, 9, 0});
  w.after(milliseconds(120'000));
  EXPECT_EQ(w.all<Quit>().size(), 1u) << "the limit";
}

TEST(AgentCore, a_node_goes_at_once_when_its_work_is_done_when_asked_twice_or_at_the_limit) {
  World done;
  WorkerId id = done.ready_worker();
  done.feed(WorkerSays{id, Finished{Step(60), ""}});
  done.feed(Terminate{});
  EXPECT_EQ(done.all<Quit>().size(), 1u);
  World twice;
  id = twice.ready_worker();
  twice.feed(Terminate{});
  EXPECT_TRUE(twice.all<Quit>().empty());
  twice.feed(Terminate{});
  EXPECT_EQ(twice.all<Quit>().size(), 1u);
  World limit;
  id = limit.ready_worker();
  limit.feed(Terminate{});
  limit.after(milliseconds(120'000));
  EXPECT_EQ(limit.all<Quit>().size(), 1u);
}

TEST(AgentCore, a_worker_that_does_not_stop_when_asked_is_killed_and_the_next_job_begins_after_it) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(Assigned{"other"});
  EXPECT_EQ(w.told<StopWorker>().size(), 1u);
  EXPECT_TRUE(w.all<FollowJob>().empty());
  w.after(milliseconds(2000));
  EXPECT_EQ(w.all<KillWorker>().size(), 1u);
  w.feed(WorkerEnded{id, 9, 0});
  const auto follows = w.all<FollowJob>();
  ASSERT_FALSE(follows.empty());
  EXPECT_EQ(follows.back().job, "other");
}

}  // namespace
}  // namespace regroup::agent
