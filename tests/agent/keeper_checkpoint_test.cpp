// Checkpoints written by keepers from their workers' slots: real files, several keepers on one directory.
#include "checkpoint/io/catalog.hpp"
#include "tests/agent/keeper_world.hpp"

#include <fstream>

namespace regroup::testing {
namespace {

JobSpec saving_job(const std::string& directory) {
  JobSpec job = test_job();
  job.snapshots.checkpoint_dir = directory;
  job.snapshots.keep_last = 2;
  return job;
}

// Units are dealt out in turn: part `part` of `num_parts`.
std::vector<SnapshotEntry> share(int part, int num_parts) {
  std::vector<SnapshotEntry> out;
  for (const Unit& unit : make_units(tiny_shape())) {
    if (unit.index % num_parts == part)
      out.push_back({unit.index, {0, 128}, 0}), out.push_back({unit.index, {128, 256}, 0});
  }
  return out;
}

TakeRequest durable(StandInWorker& worker, int slot, Step step, Epoch epoch, const State& state, int part,
                    int num_parts, int sharers) {
  std::vector<SnapshotEntry> entries = part < sharers ? share(part, sharers) : std::vector<SnapshotEntry>();
  worker.fill(slot, step, entries, &state);
  TakeRequest request = worker.request(slot, step, entries);
  request.taken.info.epoch = epoch;
  request.taken.make_durable = true;
  request.taken.part = part;
  request.taken.num_parts = num_parts;
  request.taken.to_write = entries;
  return request;
}

constexpr std::int64_t kSlotBytes = 16 << 20;

TEST(KeeperCheckpoint, two_keepers_write_their_parts_and_part_0_commits) {
  TempDir root;
  const JobSpec job = saving_job(root.path() + "/checkpoints");
  const State state = make_state(job.model, 1);
  KeeperNode a(job);
  KeeperNode b(job);
  StandInWorker on_a(a, worker_on("a"), 1, kSlotBytes);
  StandInWorker on_b(b, worker_on("b"), 1, kSlotBytes);
  a.keeper->take(durable(on_a, 0, Step(40), Epoch(3), state, 0, 2, 2));
  b.keeper->take(durable(on_b, 0, Step(40), Epoch(3), state, 1, 2, 2));
  const auto part = b.saved.next();
  EXPECT_EQ(part.problem, "");
  EXPECT_FALSE(part.committed);
  EXPECT_GT(part.bytes, 0);
  const auto committed = a.saved.next();
  EXPECT_EQ(committed.problem, "");
  EXPECT_TRUE(committed.committed);
  EXPECT_EQ(committed.step, Step(40));
  EXPECT_EQ(committed.epoch, Epoch(3));
  EXPECT_GT(committed.bytes, part.bytes);
  EXPECT_EQ(a.keeper->saves_under_way(), 0);
  checkpoint::CheckpointWanted wanted{job.name, job.model, job.data_digest, {}};
  const auto found = checkpoint::find_newest_checkpoint(job.snapshots.checkpoint_dir, wanted);
  ASSERT_TRUE(found) << to_string(found.error());
  EXPECT_EQ(found->manifest.info.step, Step(40));
  EXPECT_EQ(found->manifest.info.fingerprint, "fingerprint");
  EXPECT_EQ(found->path, committed.directory);
  expect_equal(found->path, state, 3, 5);
}

TEST(KeeperCheckpoint, groups_whose_copies_differ_make_no_checkpoint_however_they_are_cut) {
  for (const bool same : {true, false}) {
    TempDir root;
    const JobSpec job = saving_job(root.path());
    State state = make_state(job.model, 4);
    KeeperNode node(job);
    // Group 0 is two workers, which write everything, group 1 is one, which holds everything.
    std::vector<std::unique_ptr<StandInWorker>> workers;
    for (int part = 0; part < 3; ++part) {
      workers.push_back(std::make_unique<StandInWorker>(node, worker_on("a", part), 1, kSlotBytes));
      if (part == 2 && !same) state[3][100] += 1;
      TakeRequest request = durable(*workers.back(), 0, Step(7), Epoch(1), state, part, 3, 2);
      if (part == 2) {
        std::vector<SnapshotEntry> all = share(0, 1);
        workers.back()->fill(0, Step(7), all, &state);
        request = workers.back()->request(0, Step(7), all);
        request.taken.make_durable = true;
        request.taken.part = 2;
        request.taken.num_parts = 3;
        request.taken.group = 1;
      }
      node.keeper->take(request);
    }
    std::string problem;
    int commits = 0;
    for (int i = 0; i < 3; ++i) {
      const auto saved = node.saved.next();
      problem += saved.problem;
      commits += saved.committed ? 1 : 0;
    }
    EXPECT_EQ(commits, same ? 1 : 0);
    if (same) {
      EXPECT_EQ(problem, "");
    } else {
      const std::string said = "after step 7 the groups 0 and 1 hold different states in unit 3 (" +
                               make_units(job.model)[3].tensors[0].name;
      EXPECT_NE(problem.find(said), std::string::npos) << problem;
    }
    EXPECT_EQ(static_cast<bool>(checkpoint::find_newest_checkpoint(root.path(), {})), same);
  }
}

TEST(KeeperCheckpoint, two_workers_of_one_node_do_not_wait_for_each_other) {
  TempDir root;
  const JobSpec job = saving_job(root.path());
  const State state = make_state(job.model, 2);
  KeeperNode node(job);
  StandInWorker first(node, worker_on("a", 0), 1, kSlotBytes);
  StandInWorker second(node, worker_on("a", 1), 1, kSlotBytes);
  // its commit waits for the other two, which come after it in the same queue
  node.keeper->take(durable(first, 0, Step(1), Epoch(1), state, 0, 3, 2));
  node.keeper->take(durable(second, 0, Step(1), Epoch(1), state, 1, 3, 2));
  // a rank that holds nothing has a part all the same
  TakeRequest nothing = durable(second, 0, Step(1), Epoch(1), state, 2, 3, 2);
  nothing.worker = worker_on("a", 2);
  node.keeper->take(nothing);
  int commits = 0;
  for (int i = 0; i < 3; ++i) {
    const auto saved = node.saved.next();
    EXPECT_EQ(saved.problem, "");
    commits += saved.committed ? 1 : 0;
  }
  EXPECT_EQ(commits, 1);
  EXPECT_TRUE(checkpoint::find_newest_checkpoint(root.path(), {}));
}

TEST(KeeperCheckpoint, only_the_newest_are_kept) {
  TempDir root;
  const JobSpec job = saving_job(root.path());
  const State state = make_state(job.model, 3);
  KeeperNode node(job);
  StandInWorker worker(node, worker_on("a"), 1, kSlotBytes);
  for (std::int64_t step = 1; step <= 4; ++step) {
    node.keeper->take(durable(worker, 0, Step(step), Epoch(1), state, 0, 1, 1));
    EXPECT_EQ(node.saved.next().problem, "");
  }
  node.keeper.reset();  // deleting goes on after the event
  const auto list = checkpoint::list_checkpoints(root.path());
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 2U);
  EXPECT_EQ(list->front().stored.name.step, Step(4));
  EXPECT_EQ(list->back().stored.name.step, Step(3));
}

TEST(KeeperCheckpoint, a_directory_that_cannot_be_written_is_a_problem_and_the_next_save_may_succeed) {
  TempDir root;
  std::ofstream(root.path() + "/file") << "no directory";
  JobSpec job = saving_job(root.path() + "/file/checkpoints");
  const State state = make_state(job.model, 4);
  KeeperNode node(job);
  StandInWorker worker(node, worker_on("a"), 2, kSlotBytes);
  node.keeper->take(durable(worker, 0, Step(1), Epoch(1), state, 0, 1, 1));
  const auto saved = node.saved.next();
  EXPECT_NE(saved.problem, "");
  EXPECT_FALSE(saved.committed);
  EXPECT_EQ(node.kept.next().problem, "");  // the snapshot itself is well
  std::filesystem::remove(root.path() + "/file");
  node.keeper->take(durable(worker, 1, Step(2), Epoch(1), state, 0, 1, 1));
  EXPECT_EQ(node.saved.next().problem, "");
}

TEST(KeeperCheckpoint, a_commit_that_waits_for_a_lost_node_is_cancelled) {
  TempDir root;
  const JobSpec job = saving_job(root.path());
  const State state = make_state(job.model, 5);
  KeeperNode node(job);
  StandInWorker worker(node, worker_on("a"), 3, kSlotBytes);
  node.keeper->take(durable(worker, 0, Step(1), Epoch(4), state, 0, 2, 2));  // part 1 never comes
  EXPECT_EQ(node.keeper->saves_under_way(), 1);
  node.keeper->cancel_saves_before(Epoch(4));
  node.keeper->take(durable(worker, 1, Step(2), Epoch(5), state, 0, 1, 1));  // queued behind it
  EXPECT_EQ(node.keeper->saves_under_way(), 2);
  node.keeper->cancel_saves_before(Epoch(5));
  const auto cancelled = node.saved.next();
  EXPECT_EQ(cancelled.step, Step(1));
  EXPECT_NE(cancelled.problem, "");
  const auto next = node.saved.next();
  EXPECT_EQ(next.step, Step(2));
  EXPECT_EQ(next.problem, "");
  EXPECT_TRUE(next.committed);
  EXPECT_EQ(node.keeper->saves_under_way(), 0);
}

TEST(KeeperCheckpoint, a_save_goes_on_after_its_job_has_ended_here) {
  TempDir root;
  const JobSpec job = saving_job(root.path());
  const State state = make_state(job.model, 6);
  KeeperNode node(job);
  {
    StandInWorker worker(node, worker_on("a"), 1, kSlotBytes);
    node.keeper->take(durable(worker, 0, Step(9), Epoch(1), state, 0, 1, 1));
    node.keeper->work_for_none();
  }
  EXPECT_EQ(node.saved.next().problem, "");
  expect_equal(checkpoint::find_newest_checkpoint(root.path(), {})->path, state, 1, 1);
}

TEST(KeeperCheckpoint, every_durable_take_is_answered_even_if_it_cannot_be_saved) {
  KeeperNode node;  // its job names no checkpoint_dir
  const State state = make_state(node.job.model, 7);
  StandInWorker worker(node, worker_on("a"), 1, kSlotBytes);
  TakeRequest request = durable(worker, 0, Step(1), Epoch(1), state, 0, 1, 1);
  node.keeper->take(request);
  EXPECT_NE(node.saved.next().problem, "");
  node.keeper->work_for_none();
  node.keeper->take(request);
  EXPECT_NE(node.saved.next().problem, "");
  node.keeper->work_for(saving_job("/tmp/never-made"));
  node.keeper->take(request);  // its slots went with the job
  EXPECT_NE(node.saved.next().problem, "");
  EXPECT_EQ(node.keeper->saves_under_way(), 0);
}

TEST(KeeperCheckpoint, a_keeper_that_ends_answers_for_the_commit_it_leaves) {
  TempDir root;
  const JobSpec job = saving_job(root.path());
  const State state = make_state(job.model, 8);
  KeeperNode node(job);
  StandInWorker worker(node, worker_on("a"), 1, kSlotBytes);
  node.keeper->take(durable(worker, 0, Step(1), Epoch(1), state, 0, 2, 2));
  node.keeper.reset();
  EXPECT_NE(node.saved.next().problem, "");
  EXPECT_EQ(node.saved.waiting(), 0U);
}

}  // namespace
}  // namespace regroup::testing
