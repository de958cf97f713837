// What is kept, for how long, and what a peer gets of it.
#include "api/snapshots/peer_wire.hpp"
#include "net/address.hpp"
#include "tests/agent/keeper_world.hpp"

#include <unistd.h>

namespace regroup::testing {
namespace {

using Listed = std::vector<std::string>;

TEST(SnapshotKeeper, lists_and_serves_what_a_worker_has_taken) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  const auto kept = worker.take(0, Step(3), {{0, {0, 256}}, {4, {16, 40}}});
  EXPECT_EQ(kept.problem, "");
  EXPECT_EQ(kept.worker, worker.id());
  EXPECT_EQ(kept.step, Step(3));
  EXPECT_GT(kept.bytes, 0);
  auto client = node.client();
  const auto list = client->list();
  ASSERT_TRUE(list) << to_string(list.error());
  ASSERT_EQ(list->size(), 1U);
  EXPECT_EQ(list->front().taken_by, worker.id());
  EXPECT_EQ(list->front().info.epoch, Epoch(1));
  EXPECT_EQ(list->front().info.bad, (BadSteps{list->front().info.step.value, 1}));
  ASSERT_EQ(list->front().info.entries.size(), 2U);
  EXPECT_EQ(list->front().info.entries[1], (SnapshotEntry{4, {16, 40}, 0}));
  expect_fetches(*client, Step(3), 0, {0, 256});
  expect_fetches(*client, Step(3), 4, {17, 18});
  EXPECT_EQ(fetch_code(*client, Step(3), 4, {39, 41}), Code::kNotFound);
  EXPECT_EQ(fetch_code(*client, Step(2), 0, {0, 1}), Code::kNotFound);
  expect_fetches(*client, Step(3), 4, {16, 40});  // a refusal leaves the connection good
}

TEST(SnapshotKeeper, a_fetch_spans_what_several_workers_hold) {
  KeeperNode node;
  StandInWorker first(node, worker_on("a", 0));
  StandInWorker second(node, worker_on("a", 1));
  EXPECT_EQ(first.take(0, Step(5), {{2, {0, 100}}, {2, {180, 256}}}).problem, "");
  EXPECT_EQ(second.take(1, Step(5), {{3, {0, 8}}, {2, {90, 200}}}).problem, "");
  expect_fetches(*node.client(), Step(5), 2, {50, 190});
  expect_fetches(*node.client(), Step(5), 2, {0, 256});
}

TEST(SnapshotKeeper, a_slot_that_its_worker_began_to_fill_again_is_not_listed) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}, {1, {0, 256}}}).problem, "");
  EXPECT_EQ(worker.take(1, Step(2), {{0, {0, 256}}, {1, {0, 256}}}).problem, "");
  EXPECT_EQ(node.listed(), (Listed{"a/2", "a/1"}));
  std::memset(worker.slot(0), 0x11, 1000);
  EXPECT_EQ(node.listed(), Listed{"a/2"});
  // a part that still matched went with it
  EXPECT_EQ(fetch_code(*node.client(), Step(1), 1, {0, 256}), Code::kNotFound);
}

TEST(SnapshotKeeper, a_flipped_bit_is_found_at_fetch_and_the_snapshot_is_dropped) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  std::vector<SnapshotEntry> entries{{0, {0, 64}}, {1, {0, 64}}};
  EXPECT_EQ(worker.take(2, Step(9), entries).problem, "");
  worker.fill(2, Step(9), entries);
  worker.slot(2)[entries[1].offset + 20'001] ^= std::byte{4};
  auto client = node.client();
  expect_fetches(*client, Step(9), 0, {0, 64});
  EXPECT_EQ(fetch_code(*client, Step(9), 1, {0, 64}), Code::kCorrupt);
  EXPECT_EQ(node.listed(), Listed{});
}

TEST(SnapshotKeeper, a_flipped_bit_is_read_around_when_another_worker_holds_the_block) {
  KeeperNode node;
  StandInWorker first(node, worker_on("a", 0));
  StandInWorker second(node, worker_on("a", 1));
  EXPECT_EQ(first.take(0, Step(9), {{0, {0, 64}}}).problem, "");
  EXPECT_EQ(second.take(0, Step(9), {{0, {0, 32}}}).problem, "");
  first.slot(0)[5] ^= std::byte{1};
  expect_fetches(*node.client(), Step(9), 0, {0, 32});
}

TEST(SnapshotKeeper, a_newer_snapshot_in_the_same_slot_ends_the_older) {
  KeeperNode node;
  KeeperNode buddy;
  StandInWorker worker(node, worker_on("a"));
  for (std::int64_t step = 1; step <= 4; ++step)
    EXPECT_EQ(
        worker.take(static_cast<int>(step % 3), Step(step), {{0, {0, 256}}}, Step(-1), buddy.keeper->address()).problem,
        "");
  EXPECT_EQ(node.listed(), (Listed{"a/4", "a/3", "a/2"}));
  EXPECT_EQ(buddy.listed(), (Listed{"a/4", "a/3", "a/2"}));
}

TEST(SnapshotKeeper, a_step_taken_again_replaces_the_earlier_one) {
  KeeperNode node;
  KeeperNode buddy;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}}, Step(-1), buddy.keeper->address()).problem, "");
  EXPECT_EQ(worker.take(1, Step(1), {{1, {0, 256}}}, Step(-1), buddy.keeper->address()).problem, "");
  EXPECT_EQ(node.listed(), Listed{"a/1"});
  EXPECT_EQ(buddy.listed(), Listed{"a/1"});
  expect_fetches(*buddy.client(), Step(1), 1, {0, 256});
}

TEST(SnapshotKeeper, a_buddy_serves_its_copy_after_the_owner_is_gone) {
  KeeperNode buddy(test_job(), 5s, "tcp:127.0.0.1:0");
  {
    KeeperNode node;
    StandInWorker worker(node, worker_on("a"));
    const auto kept = worker.take(0, Step(3), {{0, {0, 256}}, {4, {16, 40}}}, Step(-1), buddy.keeper->address());
    EXPECT_EQ(kept.problem, "");
    EXPECT_EQ(kept.buddy, buddy.keeper->address());
  }
  EXPECT_EQ(buddy.listed(), Listed{"a/3"});
  expect_fetches(*buddy.client(), Step(3), 0, {0, 256});
  expect_fetches(*buddy.client(), Step(3), 4, {16, 40});
}

TEST(SnapshotKeeper, a_dead_buddy_is_a_problem_and_the_snapshot_stays_here) {
  std::string address;
  {
    KeeperNode buddy(test_job(), 5s, "tcp:127.0.0.1:0");
    address = buddy.keeper->address();
  }
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_NE(worker.take(0, Step(3), {{0, {0, 256}}}, Step(-1), address).problem, "");
  EXPECT_EQ(node.listed(), Listed{"a/3"});
}

TEST(SnapshotKeeper, a_buddy_that_accepts_and_says_nothing_is_a_problem_within_the_deadline) {
  TempDir dir;
  auto silent = listen_on("unix:" + dir.path() + "/silent", Buffers::kSystem);
  ASSERT_TRUE(silent);
  KeeperNode node(test_job(), 100ms);
  StandInWorker worker(node, worker_on("a"));
  EXPECT_NE(worker.take(0, Step(3), {{0, {0, 256}}}, Step(-1), silent->address).problem, "");
  close_listening(*silent);
}

TEST(SnapshotKeeper, a_buddy_that_started_again_is_reached_again) {
  TempDir dir;
  const std::string address = "unix:" + dir.path() + "/buddy";
  auto buddy = std::make_unique<KeeperNode>(test_job(), 5s, address);
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}}, Step(-1), address).problem, "");
  buddy.reset();
  buddy = std::make_unique<KeeperNode>(test_job(), 5s, address);
  EXPECT_EQ(worker.take(1, Step(2), {{0, {0, 256}}}, Step(-1), address).problem, "");
  EXPECT_EQ(buddy->listed(), Listed{"a/2"});
}

TEST(SnapshotKeeper, a_snapshot_that_is_offered_again_keeps_its_first_checksums) {
  KeeperNode buddy;
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  std::vector<SnapshotEntry> entries{{0, {0, 256}}};
  worker.fill(0, Step(3), entries);
  node.keeper->take(worker.request(0, Step(3), entries, Step(-1), "unix:/nobody/listens/here"));
  EXPECT_NE(node.kept.next().problem, "");
  node.keeper->take(worker.request(0, Step(3), entries, Step(-1), buddy.keeper->address()));
  EXPECT_EQ(node.kept.next().problem, "");
  EXPECT_EQ(buddy.listed(), Listed{"a/3"});
  KeeperNode other;
  worker.slot(0)[100] ^= std::byte{1};  // the worker fills the slot anew, and has not said so yet
  node.keeper->take(worker.request(0, Step(3), entries, Step(-1), other.keeper->address()));
  EXPECT_NE(node.kept.next().problem, "");
  EXPECT_EQ(other.listed(), Listed{});
  EXPECT_EQ(node.listed(), Listed{});
}

TEST(SnapshotKeeper, a_buddy_of_another_job_refuses) {
  KeeperNode buddy(test_job("other"));
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_NE(worker.take(0, Step(1), {{0, {0, 256}}}, Step(-1), buddy.keeper->address()).problem, "");
}

TEST(SnapshotKeeper, what_is_older_than_safe_goes_here_and_at_the_buddy) {
  KeeperNode node;
  KeeperNode buddy;
  StandInWorker worker(node, worker_on("a", 0));
  StandInWorker neighbour(node, worker_on("a", 1));
  EXPECT_EQ(neighbour.take(0, Step(1), {{1, {0, 256}}}, Step(-1), buddy.keeper->address()).problem, "");
  EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}}, Step(-1), buddy.keeper->address()).problem, "");
  EXPECT_EQ(worker.take(1, Step(2), {{0, {0, 256}}}, Step(-1), buddy.keeper->address()).problem, "");
  EXPECT_EQ(buddy.listed().size(), 3U);
  EXPECT_EQ(worker.take(2, Step(3), {{0, {0, 256}}}, Step(2), buddy.keeper->address()).problem, "");
  EXPECT_EQ(node.listed(), (Listed{"a/3", "a/2"}));
  EXPECT_EQ(buddy.listed(), (Listed{"a/3", "a/2"}));
}

TEST(SnapshotKeeper, a_safe_step_from_a_history_that_was_rolled_back_drops_nothing) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_EQ(worker.take(0, Step(5), {{0, {0, 256}}}).problem, "");
  EXPECT_EQ(worker.take(1, Step(6), {{0, {0, 256}}}, Step(8)).problem, "");
  EXPECT_EQ(worker.take(2, Step(7), {{0, {0, 256}}}, Step(7)).problem, "");
  EXPECT_EQ(node.listed(), (Listed{"a/7", "a/6", "a/5"}));
}

TEST(SnapshotKeeper, snapshots_outlive_their_worker_until_they_are_too_old) {
  KeeperNode node;
  {
    StandInWorker worker(node, worker_on("a", 0, 0));
    EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}}).problem, "");
  }
  StandInWorker next(node, worker_on("a", 0, 1));
  EXPECT_EQ(node.listed(), Listed{"a/1"});
  EXPECT_EQ(next.take(0, Step(2), {{0, {0, 256}}}).problem, "");
  EXPECT_EQ(node.listed(), (Listed{"a/2", "a/1"}));
  expect_fetches(*node.client(), Step(1), 0, {0, 256});
  EXPECT_EQ(next.take(1, Step(3), {{0, {0, 256}}}, Step(2)).problem, "");
  EXPECT_EQ(node.listed(), (Listed{"a/3", "a/2"}));
}

TEST(SnapshotKeeper, larger_slots_leave_what_lies_in_the_earlier_ones) {
  KeeperNode node;
  StandInWorker small(node, worker_on("a"), 3, 1 << 20);
  EXPECT_EQ(small.take(0, Step(1), {{0, {0, 64}}}).problem, "");
  StandInWorker large(node, worker_on("a"), 3, 4 << 20);
  EXPECT_EQ(large.take(0, Step(2), {{0, {0, 256}}}).problem, "");
  EXPECT_EQ(node.listed(), (Listed{"a/2", "a/1"}));
  expect_fetches(*node.client(), Step(1), 0, {0, 64});
}

TEST(SnapshotKeeper, slots_are_zeroed_and_cannot_be_resized_by_the_worker) {
  KeeperNode node;
  const auto granted = node.keeper->grant(worker_on("a"), 2, 1 << 20);
  ASSERT_TRUE(granted);
  ASSERT_EQ(granted->size(), 2U);
  EXPECT_NE(::ftruncate(granted->front(), 0), 0);
  std::vector<char> bytes(1 << 20, 1);
  EXPECT_EQ(::pread(granted->front(), bytes.data(), bytes.size(), 0), 1 << 20);
  EXPECT_EQ(bytes, std::vector<char>(1 << 20, 0));
}

TEST(SnapshotKeeper, more_memory_than_there_is_is_refused) {
  KeeperNode node;
  const auto granted = node.keeper->grant(worker_on("a"), 1, std::int64_t{1} << 50);
  ASSERT_FALSE(granted);
  EXPECT_EQ(granted.error().code, Code::kUnavailable);
}

TEST(SnapshotKeeper, a_rank_that_holds_nothing_is_acknowledged_and_ends_nothing) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}}).problem, "");
  EXPECT_EQ(worker.take(0, Step(2), {}, Step(-1), "unix:/nobody/listens/here").problem, "");
  EXPECT_EQ(node.listed(), Listed{"a/1"});
}

TEST(SnapshotKeeper, what_a_worker_says_wrongly_is_a_problem_of_its_own) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"), 3, 1 << 20);
  node.keeper->take(worker.request(7, Step(1), {{0, {0, 1}, 0}}));
  EXPECT_NE(node.kept.next().problem, "");
  node.keeper->take(worker.request(0, Step(1), {{0, {0, 256}, (1 << 20) - 64}}));
  EXPECT_NE(node.kept.next().problem, "");
  node.keeper->take(worker.request(0, Step(1), {{999, {0, 256}, 0}}));
  EXPECT_NE(node.kept.next().problem, "");
  node.keeper->take(worker.request(0, Step(1), {{0, {0, 257}, 0}}));
  EXPECT_NE(node.kept.next().problem, "");
  EXPECT_EQ(node.listed(), Listed{});
}

TEST(SnapshotKeeper, every_take_of_a_queue_is_answered_once_and_in_order) {
  KeeperNode node;
  KeeperNode buddy;
  StandInWorker worker(node, worker_on("a"), 8);
  for (int step = 0; step < 8; ++step) {
    std::vector<SnapshotEntry> entries{{0, {0, 256}}};
    worker.fill(step, Step(step), entries);
    node.keeper->take(worker.request(step, Step(step), entries, Step(-1), buddy.keeper->address()));
  }
  for (int step = 0; step < 8; ++step) {
    const auto kept = node.kept.next();
    EXPECT_EQ(kept.step, Step(step));
    EXPECT_EQ(kept.problem, "");
  }
  EXPECT_EQ(node.kept.waiting(), 0U);
  EXPECT_EQ(buddy.listed().size(), 8U);
}

TEST(SnapshotKeeper, another_job_drops_all_and_the_same_job_nothing) {
  KeeperNode node;
  StandInWorker worker(node, worker_on("a"));
  EXPECT_EQ(worker.take(0, Step(1), {{0, {0, 256}}}).problem, "");
  node.keeper->work_for(node.job);
  EXPECT_EQ(node.listed(), Listed{"a/1"});
  auto earlier = node.client();
  const JobSpec first = node.job;
  node.job = test_job("other", "0123");
  node.keeper->work_for(node.job);
  EXPECT_EQ(node.listed(), Listed{});
  EXPECT_FALSE(earlier->list());  // an open connection does not outlive its job
  node.keeper->work_for(first);
  node.job = first;
  EXPECT_EQ(node.listed(), Listed{});
  node.keeper->work_for_none();
  EXPECT_FALSE(SnapshotClient::connect(node.keeper->address(), first.name, first.secret, 30s));
}

TEST(SnapshotKeeper, keepers_come_and_go_while_others_ask) {
  KeeperNode buddy;
  for (int round = 0; round < 10; ++round) {
    KeeperNode node;
    StandInWorker worker(node, worker_on("a", round));
    std::vector<SnapshotEntry> entries{{0, {0, 256}}};
    worker.fill(0, Step(round), entries);
    node.keeper->take(worker.request(0, Step(round), entries, Step(-1), buddy.keeper->address()));
    (void)node.client()->list();
    node.keeper.reset();  // in the middle of it, or not
    EXPECT_EQ(node.kept.waiting(), 1U);
  }
}

}  // namespace
}  // namespace regroup::testing
