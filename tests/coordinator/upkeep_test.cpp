// What the leading coordinator clears away, and what it counts.
#include "tests/coordinator/core_world.hpp"

namespace regroup::coordinator::test {
namespace {

std::size_t count_keys(const CoreWorld& w, const std::string& prefix) {
  return static_cast<std::size_t>(std::count_if(w.etcd.keys.begin(), w.etcd.keys.end(),
                                                [&](const auto& entry) { return entry.first.starts_with(prefix); }));
}

TEST(Upkeep, the_checkpoint_index_keeps_its_newest_16_entries_once_it_has_32) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  const auto add = [&](int step) {
    w.etcd.put(w.keys.checkpoint("job", Step(step)), to_json(CheckpointRecord{Step(step), Epoch(1), "/dir", 1}));
    w.pump();
  };
  for (int step = 1; step <= 31; ++step) add(step);
  EXPECT_EQ(count_keys(w, w.keys.checkpoints("job")), 31U);
  add(32);
  EXPECT_EQ(count_keys(w, w.keys.checkpoints("job")), 16U);
  EXPECT_EQ(w.etcd.get(w.keys.checkpoint("job", Step(16))), nullptr);
  EXPECT_NE(w.etcd.get(w.keys.checkpoint("job", Step(17))), nullptr);
}

TEST(Upkeep, old_plans_go_in_the_same_way_and_the_current_one_stays) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  for (std::uint64_t epoch = 2; epoch <= 32; ++epoch) w.etcd.put(w.keys.plan("job", Epoch(epoch)), "a plan");
  w.pump();
  EXPECT_EQ(w.etcd.get(w.keys.plan("job", Epoch(16))), nullptr);
  EXPECT_NE(w.etcd.get(w.keys.plan("job", Epoch(17))), nullptr);
  EXPECT_NE(w.etcd.get(w.keys.current_plan("job")), nullptr);
  EXPECT_NE(w.etcd.get(w.keys.plan("job", Epoch(1))), nullptr);
}

TEST(Upkeep, of_large_plans_fewer_are_kept) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  for (std::uint64_t epoch = 2; epoch <= 9; ++epoch)
    w.etcd.put(w.keys.plan("job", Epoch(epoch)), std::string(1 << 20, ' '));
  w.pump();
  EXPECT_EQ(count_keys(w, w.keys.plans("job")), 6U);  // current, the plan that it names, and the newest four
  EXPECT_EQ(w.etcd.get(w.keys.plan("job", Epoch(5))), nullptr);
}

TEST(Upkeep, progress_of_nodes_that_are_gone_is_removed_but_for_the_newest_and_for_an_end) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  const auto says = [&](const char* node, std::int64_t step, ProgressState state) {
    w.etcd.put(w.keys.progress("job", NodeId(node)),
               to_json(ProgressRecord{w.epoch(), Step(step), 1.0, 1.0, 0, state, "", ""}));
  };
  const auto has = [&](const char* node) { return w.etcd.get(w.keys.progress("job", NodeId(node))) != nullptr; };
  says("gone", 3, ProgressState::kTraining);
  says("gone-too", 4, ProgressState::kWaiting);
  says("stopped", 2, ProgressState::kStopped);
  says("newest", 9, ProgressState::kTraining);
  w.pump();
  EXPECT_FALSE(has("gone") || has("gone-too"));
  EXPECT_TRUE(has("stopped") && has("newest") && has("node-0"));
  w.progress("node-1", 10);
  w.advance(100);
  EXPECT_FALSE(has("newest"));
  EXPECT_TRUE(has("node-0") && has("node-1"));
}

TEST(Upkeep, a_wish_that_was_made_anew_is_not_removed_for_the_one_before) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  const std::string key = w.keys.wish("job", "stop"), wish = to_json(WishRecord{WishKind::kStop, 0, NodeId(), false});
  w.etcd.put(w.keys.outcome("job"), to_json(JobOutcome{JobState::kStopped, "as wished", Step(1), ""}));
  w.pump();
  w.etcd.put(key, wish);
  const KeyValue seen = *w.etcd.get(key);
  const auto actions =
      w.core().step(w.now, {StoreUpdate{WatchUpdate{false, true, w.etcd.revision, {{WatchEvent::Kind::kPut, seen}}}}});
  ASSERT_EQ(actions.size(), 1U);
  w.etcd.put(key, wish);
  EXPECT_FALSE(w.etcd.txn(std::get<Write>(actions[0]).when, std::get<Write>(actions[0]).then));
  EXPECT_NE(w.etcd.get(key), nullptr);
}

TEST(Upkeep, a_job_that_is_over_is_looked_at_until_nothing_of_it_is_left_to_do) {
  CoreWorld w;
  w.start();
  w.train_on(2);
  EXPECT_TRUE(w.core().open_jobs().contains("job"));
  w.progress("node-0", 100, ProgressState::kFinished, "", "digest");
  EXPECT_EQ(w.status().state, JobState::kFinished);
  w.advance(100);
  EXPECT_TRUE(w.core().open_jobs().empty());
  w.etcd.put(w.keys.wish("job", "stop"), to_json(WishRecord{WishKind::kStop, 0, NodeId(), false}));
  w.etcd.erase(w.keys.status("job"));
  w.pump();
  EXPECT_EQ(w.etcd.get(w.keys.wish("job", "stop")), nullptr);
  EXPECT_EQ(w.status().state, JobState::kFinished);
  w.advance(100);
  EXPECT_TRUE(w.core().open_jobs().empty());
  w.etcd.erase(w.keys.progress("job", NodeId("node-0")));  // submitted again
  w.etcd.erase(w.keys.outcome("job"));
  w.pump();
  EXPECT_TRUE(w.core().open_jobs().contains("job"));
}

TEST(Upkeep, a_new_leader_looks_at_jobs_that_are_over_once) {
  CoreWorld w(2);
  w.start();
  w.watch_only(1);
  w.train_on(2);
  w.progress("node-0", 100, ProgressState::kFinished, "", "digest");
  w.etcd.put(w.keys.status("job"), "old");
  w.depose(0);
  w.lead(1);
  EXPECT_EQ(w.status().coordinator, "coordinator-1");
  w.advance(100);
  EXPECT_TRUE(w.core(1).open_jobs().empty());
}

TEST(Upkeep, events_that_come_together_are_all_known_before_anything_is_decided) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  const auto accuses = [&](const char* reporter, int accused, Evidence evidence) {
    const std::string key = to_string(CoreWorld::worker(reporter));
    return StoreUpdate{WatchUpdate{
        false,
        true,
        w.etcd.revision,
        {{WatchEvent::Kind::kPut,
          {w.keys.suspect(reporter),
           to_json(SuspectRecord{
               reporter, w.epoch(), {{CoreWorld::worker(CoreWorld::name(accused)), evidence, w.now.wall_ms}}}),
           ++w.etcd.revision, w.etcd.revision, 1, 0}}}}};
  };
  const auto actions =
      w.core().step(w.now, {accuses("node-0", 0, Evidence::kExit), accuses("node-1", 1, Evidence::kExit)});
  std::vector<Plan> published;
  for (const Action& action : actions)
    if (const auto* write = std::get_if<Write>(&action); write != nullptr && write->plan)
      published.push_back(*write->plan);
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(published[0].members.size(), 1U);  // one plan without both
}

TEST(Upkeep, a_member_that_only_gets_on_calls_for_no_decision) {
  ClusterView view("c", Timing{});
  const Keys keys("c");
  const Now now{Instant{}, 0};
  std::int64_t revision = 1;
  const auto comes = [&](std::uint64_t epoch, std::int64_t step, ProgressState state) {
    const std::string text = to_json(ProgressRecord{Epoch(epoch), Step(step), 1.0, 1.0, 0, state, "", ""});
    ++revision;
    const KeyValue kv{keys.progress("job", NodeId("n")), text, 2, revision, 1, 0};
    return view.apply({false, true, revision, {{WatchEvent::Kind::kPut, kv}}}, now);
  };
  EXPECT_TRUE(comes(1, 1, ProgressState::kTraining));
  EXPECT_FALSE(comes(1, 2, ProgressState::kTraining));
  EXPECT_TRUE(comes(2, 3, ProgressState::kTraining));
  EXPECT_TRUE(comes(2, 3, ProgressState::kWaiting));
  EXPECT_TRUE(comes(2, 3, ProgressState::kFinished));
}

TEST(Upkeep, the_core_fills_in_what_it_knows_of_nodes_and_jobs) {
  CoreWorld w;
  w.start();
  w.train_on(3);
  NodeRecord without_slots = w.record("node-9");
  without_slots.slots = 0;
  w.put_node(without_slots);
  w.progress("node-0", 7);
  metrics::CoordinatorCounters counters;
  counters.jobs["gone"].epoch = 3;
  counters.jobs["job"].plans["start"] = 1;
  w.core().fill(counters);
  EXPECT_TRUE(counters.leading);
  EXPECT_EQ(counters.nodes, 4);
  EXPECT_EQ(counters.free_nodes, 1);
  ASSERT_EQ(counters.jobs.size(), 1U);
  const metrics::JobCounters& job = counters.jobs.at("job");
  EXPECT_EQ(job.epoch, 1U);
  EXPECT_EQ(job.members, 3);
  EXPECT_EQ(job.spares, 0);
  EXPECT_EQ(job.step, 7);
  EXPECT_FALSE(job.waiting);
  EXPECT_EQ(job.plans.at("start"), 1U);  // the shell's own count stays
}

TEST(Upkeep, a_job_that_waits_is_counted_as_waiting) {
  CoreWorld w;
  w.start();
  w.put_job(tiny_job());
  metrics::CoordinatorCounters counters;
  w.core().fill(counters);
  EXPECT_TRUE(counters.jobs.at("job").waiting);
}

}  // namespace
}  // namespace regroup::coordinator::test
