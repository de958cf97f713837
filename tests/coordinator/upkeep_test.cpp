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
