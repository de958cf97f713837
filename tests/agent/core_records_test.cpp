// What the agent's core keeps and says of the work: progress, loads, snapshots and whose they are, saves.
#include "api/buddy.hpp"
#include "tests/agent/core_world.hpp"

namespace regroup::agent {
namespace {

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

TEST(AgentCore, settings_of_the_workers_environment_are_told_to_each_worker) {
  World w(1, {"A=1", "B=x y"});
  w.feed(Assigned{"tiny"});
  w.feed(JobKnown{testing::tiny_job()});
  EXPECT_EQ(w.all<StartWorker>().at(0).settings, " A=1 B=x y");
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
    EXPECT_EQ(progress->state, ProgressState::kStopped);
    return progress->reason;
  };
  EXPECT_EQ(said([](World& w, CheckpointSaved& saved) {
              saved.committed = true;
              w.feed(saved);
            }),
            "");
  EXPECT_EQ(said([](World& w, CheckpointSaved& saved) {
              saved.problem = "the disk is full";
              w.feed(saved);
            }),
            "the disk is full");
  EXPECT_EQ(said([](World& w, CheckpointSaved& saved) {
              saved.step = Step(5);  // an earlier one
              saved.committed = true;
              w.feed(saved);
            }),
            "there was no memory for its copy");
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
  EXPECT_FALSE(w.all<TakeSnapshot>()[0].taken.make_durable);  // on disk it is already
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

TEST(BuddyOf, a_group_without_this_node_makes_one_superfluous) {
  Plan plan = testing::tiny_plan();  // groups {a, c}, {b}
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "");
  EXPECT_EQ(buddy_of(plan, plan.members[1].worker), "");
}

TEST(BuddyOf, the_next_other_node_keeps_the_copy) {
  Plan plan = testing::tiny_plan();
  plan.placement.groups.pop_back();
  plan.placement.groups[0].ranks = {Rank(0), Rank(1), Rank(2)};
  for (std::size_t i = 0; i < 3; ++i) plan.members[i].agent_address = "unix:/" + std::to_string(i);
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "unix:/1");
  EXPECT_EQ(buddy_of(plan, plan.members[2].worker), "unix:/0");
  plan.members[1].worker.node = plan.members[0].worker.node;
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "unix:/2");
  plan.members[2].worker.node = plan.members[0].worker.node;
  EXPECT_EQ(buddy_of(plan, plan.members[0].worker), "");  // nobody else is there
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
    JobSpec job = testing::tiny_job();
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
