#include "agent/core/agent.hpp"

#include "tests/api/sample.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace regroup::agent {
namespace {

using std::chrono::milliseconds;

// One agent of node `n`, its clock, and what it last said in etcd.
class World {
 public:
  explicit World(int slots = 1) : core_(facts(slots)) {}

  Now now{Instant{} + std::chrono::hours(1), 1'000'000};
  std::map<std::string, std::string> etcd;
  std::vector<Action> actions;   // of the last event

  void feed(const Event& event) {
    actions = core_.step(now, event);
    for (const Action& action : actions) {
      if (const auto* put = std::get_if<PutLeased>(&action)) etcd[put->key] = put->value;
      if (const auto* put = std::get_if<PutLasting>(&action)) etcd[put->key] = put->value;
      if (const auto* erase = std::get_if<EraseLeased>(&action)) etcd.erase(erase->key);
    }
  }
  void after(milliseconds span, int saves_under_way = 0) {
    now.at += span;
    now.wall_ms += span.count();
    feed(Tick{saves_under_way});
  }
  template <class A>
  std::vector<A> all() const {
    std::vector<A> found;
    for (const Action& action : actions) {
      if (const auto* one = std::get_if<A>(&action)) found.push_back(*one);
    }
    return found;
  }
  template <class M>
  std::vector<M> told() const {
    std::vector<M> found;
    for (const Tell& tell : all<Tell>()) {
      if (const auto* one = std::get_if<M>(&tell.message)) found.push_back(*one);
    }
    return found;
  }
  // Assigned to the job, its worker started and ready. Gives the worker.
  WorkerId ready_worker() {
    feed(Assigned{"tiny"});
    feed(JobKnown{testing::sample_job()});
    const WorkerId id = all<StartWorker>().at(0).worker;
    get_ready(id);
    return id;
  }
  void get_ready(const WorkerId& id) {
    feed(WorkerSays{id, Hello{"unix:/w", 17, "print"}});
    feed(WorkerSays{id, StateChanged{WorkerState::kReady, Epoch(0), ""}});
  }
  NodeRecord node() { return *node_from_json(etcd.at("/regroup/c/nodes/n")); }
  Agent& core() { return core_; }
  // Steps [first, last] of an epoch, a second apart, whose experts get this.
  void commit(const WorkerId& id, std::uint64_t epoch, std::int64_t first, std::int64_t last, const std::vector<std::int64_t>& load) {
    for (std::int64_t step = first; step <= last; ++step) {
      CommitReport report;
      report.epoch = Epoch(epoch);
      report.step = Step(step);
      report.expert_load = load;
      after(milliseconds(1000));
      feed(WorkerSays{id, Committed{report}});
    }
  }
  [[nodiscard]] std::optional<LoadRecord> load() const {
    const auto found = etcd.find("/regroup/c/jobs/tiny/load/n");
    if (found == etcd.end()) return std::nullopt;
    return *load_from_json(found->second);
  }

  // The sample plan with `worker` in place of member a.
  static Plan plan_with(const WorkerId& worker, std::uint64_t epoch) {
    Plan plan = testing::sample_plan();
    plan.epoch = Epoch(epoch);
    plan.parent = Epoch(epoch - 1);
    plan.members[0] = {worker, "unix:/w", "unix:/agent-n"};
    return plan;
  }
  static Plan plan_without(std::uint64_t epoch) {
    Plan plan = testing::sample_plan();
    plan.epoch = Epoch(epoch);
    plan.parent = Epoch(epoch - 1);
    plan.when = When::kNow;
    return plan;
  }

 private:
  static NodeFacts facts(int slots) {
    NodeFacts f;
    f.cluster = "c";
    f.node = NodeId("n");
    f.incarnation = 0xabc;
    f.agent_address = "unix:/agent-n";
    f.slots = slots;
    return f;
  }
  Agent core_;
};

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
  w.feed(JobKnown{testing::sample_job()});
  EXPECT_EQ(w.all<StartWorker>().size(), 2u);
  EXPECT_EQ(w.node().workers.size(), 2u);
}

TEST(AgentCore, a_ready_worker_is_told_whom_to_dial_and_a_member_its_plan) {
  World w;
  w.feed(Assigned{"tiny"});
  w.feed(PlanKnown{World::plan_without(7)});   // before its job: not lost
  w.feed(JobKnown{testing::sample_job()});
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
  EXPECT_EQ(report->suspicions.at(0).evidence, "exit");
  EXPECT_TRUE(w.node().workers.empty());
  w.after(milliseconds(250));
  ASSERT_EQ(w.all<StartWorker>().size(), 1u);
  EXPECT_EQ(w.all<StartWorker>()[0].worker.start, 1);
  EXPECT_EQ(w.node().workers.at(0).id.start, 1);
  // A plan that does without the dead one ends the suspicion.
  w.feed(PlanKnown{World::plan_without(9)});
  EXPECT_FALSE(w.etcd.contains("/regroup/c/suspects/n"));
}

TEST(AgentCore, restarts_back_off_and_a_committed_step_forgives) {
  World w;
  WorkerId id = w.ready_worker();
  std::vector<long> delays;
  for (int i = 0; i < 4; ++i) {
    w.feed(WorkerEnded{id, 0, 1});
    long waited = 0;
    while (w.all<StartWorker>().empty()) {
      w.after(milliseconds(250));
      waited += 250;
      ASSERT_LT(waited, 100'000);
    }
    delays.push_back(waited);
    id = w.all<StartWorker>()[0].worker;
  }
  EXPECT_EQ(delays, (std::vector<long>{250, 1000, 2000, 4000}));
  w.feed(WorkerSays{id, Committed{}});
  w.feed(WorkerEnded{id, 0, 1});
  w.after(milliseconds(250));
  EXPECT_EQ(w.all<StartWorker>().size(), 1u);
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
    w.feed(WorkerEnded{id, 9, 0});
    w.after(milliseconds(250));
    id = w.all<StartWorker>().at(0).worker;
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
  EXPECT_EQ(w.all<KillWorker>().size(), 1u);   // it sits there and cannot go on
  w.feed(WorkerEnded{next, 9, 0});
  EXPECT_TRUE(w.all<StartWorker>().empty());
  EXPECT_EQ(w.node().workers.at(0).state, WorkerState::kFailed);
  EXPECT_EQ(w.node().workers.at(0).text, "the data is damaged");
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
  EXPECT_EQ(w.all<StartWorker>().size(), 1u);   // a new life, which may join
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

TEST(AgentCore, progress_is_written_at_once_in_a_new_epoch_and_once_a_second_otherwise) {
  World w;
  const WorkerId id = w.ready_worker();
  const std::string key = "/regroup/c/jobs/tiny/progress/n";
  const auto commit = [&](std::uint64_t epoch, std::int64_t step) {
    CommitReport report;
    report.epoch = Epoch(epoch);
    report.step = Step(step);
    w.feed(WorkerSays{id, Committed{report}});
  };
  commit(8, 1);
  EXPECT_EQ(progress_from_json(w.etcd.at(key))->step, Step(1));
  commit(8, 2);
  EXPECT_EQ(progress_from_json(w.etcd.at(key))->step, Step(1));
  commit(9, 3);
  EXPECT_EQ(progress_from_json(w.etcd.at(key))->epoch, Epoch(9));
  commit(9, 4);
  w.after(milliseconds(1000));
  EXPECT_EQ(progress_from_json(w.etcd.at(key))->step, Step(4));
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

TEST(AgentCore, what_became_of_the_save_of_a_job_that_stops_is_said_with_its_step) {
  const auto said = [](const std::function<void(World&, CheckpointSaved&)>& save) {
    World w;
    const WorkerId id = w.ready_worker();
    w.feed(PlanKnown{World::plan_with(id, 8)});
    CheckpointSaved saved;
    saved.worker = id;
    saved.step = Step(7);
    save(w, saved);
    w.feed(WorkerSays{id, Stopped{Epoch(9), Step(7)}});
    EXPECT_EQ(w.node().workers.at(0).state, WorkerState::kFinished);
    const auto progress = progress_from_json(w.etcd.at("/regroup/c/jobs/tiny/progress/n"));
    EXPECT_EQ(progress->epoch, Epoch(9));
    EXPECT_EQ(progress->step, Step(7));
    return progress->state;
  };
  EXPECT_EQ(said([](World& w, CheckpointSaved& saved) {
    saved.committed = true;
    w.feed(saved);
  }), "stopped");
  EXPECT_EQ(said([](World& w, CheckpointSaved& saved) {
    saved.problem = "the disk is full";
    w.feed(saved);
  }), "stopped: the disk is full");
  EXPECT_EQ(said([](World& w, CheckpointSaved& saved) {
    saved.step = Step(5);   // an earlier one
    saved.committed = true;
    w.feed(saved);
  }), "stopped: there was no memory for its copy");
}

TEST(AgentCore, a_snapshot_that_no_buddy_has_is_offered_again_until_one_has_it) {
  World w;
  const WorkerId id = w.ready_worker();
  SnapshotTaken taken;
  taken.info.step = Step(5);
  taken.make_durable = true;
  w.feed(WorkerSays{id, taken});
  ASSERT_EQ(w.all<TakeSnapshot>().size(), 1u);
  EXPECT_TRUE(w.all<TakeSnapshot>()[0].taken.make_durable);
  SnapshotKept kept;
  kept.worker = id;
  kept.step = Step(5);
  kept.problem = "the buddy is away";
  w.feed(kept);
  EXPECT_EQ(w.told<SnapshotAnswer>().at(0).news, SnapshotNews::kKept);
  w.after(milliseconds(500));
  ASSERT_EQ(w.all<TakeSnapshot>().size(), 1u);
  EXPECT_FALSE(w.all<TakeSnapshot>()[0].taken.make_durable);   // on disk it is already
  kept.problem.clear();
  w.feed(kept);
  ASSERT_EQ(w.told<SnapshotAnswer>().size(), 1u);
  EXPECT_EQ(w.told<SnapshotAnswer>()[0].news, SnapshotNews::kSafe);
  w.after(milliseconds(5000));
  EXPECT_TRUE(w.all<TakeSnapshot>().empty());
}

TEST(AgentCore, a_save_that_failed_frees_the_slot_but_is_no_checkpoint) {
  World w;
  const WorkerId id = w.ready_worker();
  CheckpointSaved saved;
  saved.worker = id;
  saved.step = Step(5);
  saved.committed = true;
  saved.problem = "disk full";
  w.feed(saved);
  EXPECT_EQ(w.told<SnapshotAnswer>().at(0).news, SnapshotNews::kSaveEnded);
  EXPECT_FALSE(w.etcd.contains("/regroup/c/jobs/tiny/checkpoints/5"));
  saved.problem.clear();
  saved.directory = "/ckpt/step-5.e1";
  w.feed(saved);
  EXPECT_EQ(checkpoint_from_json(w.etcd.at("/regroup/c/jobs/tiny/checkpoints/5"))->path, "/ckpt/step-5.e1");
}

TEST(AgentCore, a_drained_node_waits_until_its_job_lets_it_go) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.feed(WorkerSays{id, StateChanged{WorkerState::kTraining, Epoch(0), ""}});
  w.feed(Terminate{});
  EXPECT_EQ(notice_from_json(w.etcd.at("/regroup/c/notices/n"))->kind, "drain");
  w.after(milliseconds(10'000));
  EXPECT_TRUE(w.all<Quit>().empty());
  w.feed(Assigned{""});
  EXPECT_EQ(w.told<StopWorker>().size(), 1u);
  w.feed(WorkerEnded{id, 0, 0});
  w.after(milliseconds(50), 1);
  EXPECT_TRUE(w.all<Quit>().empty());   // its last checkpoint is being written
  w.after(milliseconds(50));
  EXPECT_EQ(w.all<Quit>().size(), 1u);
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

TEST(BuddyOf, a_group_without_this_node_makes_one_superfluous) {
  Plan plan = testing::sample_plan();   // groups {a, c}, {b}
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "");
  EXPECT_EQ(buddy_of(plan, plan.members[1].worker), "");
}

TEST(BuddyOf, the_next_other_node_keeps_the_copy) {
  Plan plan = testing::sample_plan();
  plan.placement.groups.pop_back();
  plan.placement.groups[0].ranks = {Rank(0), Rank(1), Rank(2)};
  for (std::size_t i = 0; i < 3; ++i) plan.members[i].agent_address = "unix:/" + std::to_string(i);
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "unix:/1");
  EXPECT_EQ(buddy_of(plan, plan.members[2].worker), "unix:/0");
  plan.members[1].worker.node = plan.members[0].worker.node;
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "unix:/2");
  plan.members[2].worker.node = plan.members[0].worker.node;
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "");   // nobody else is there
}

TEST(AgentCore, rank_0s_agent_writes_what_experts_get_once_an_epoch_has_some_steps) {
  World w;
  const WorkerId id = w.ready_worker();
  w.feed(PlanKnown{World::plan_with(id, 8)});
  w.commit(id, 8, 1, 7, {10, 20, 30, 40});
  EXPECT_FALSE(w.load());
  w.commit(id, 8, 8, 8, {10, 20, 30, 40});
  ASSERT_TRUE(w.load());
  EXPECT_EQ(w.load()->epoch, Epoch(8));
  EXPECT_EQ(w.load()->step, Step(8));
  EXPECT_EQ(w.load()->expert_load, (std::vector<std::int64_t>{10, 20, 30, 40}));
}

TEST(AgentCore, an_agent_of_another_rank_says_nothing_of_the_load_and_none_does_when_the_job_has_no_use_for_it) {
  for (const bool wanted : {true, false}) {
    World w;
    JobSpec job = testing::sample_job();
    if (!wanted) job.elastic.load_gain = 0;
    w.feed(Assigned{"tiny"});
    w.feed(JobKnown{job});
    const WorkerId id = w.all<StartWorker>().at(0).worker;
    w.get_ready(id);
    Plan plan = World::plan_with(id, 8);
    if (wanted) std::swap(plan.members[0], plan.members[1]);
    w.feed(PlanKnown{plan});
    w.commit(id, 8, 1, 20, {1, 2, 3, 4});
    EXPECT_FALSE(w.load());
  }
}

}  // namespace
}  // namespace regroup::agent
