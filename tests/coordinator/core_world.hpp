// core_world.hpp: a coordinator's core, an etcd without threads and hand-made agents: the stage for tests of one
// situation.
#pragma once

#include "api/job_status.hpp"
#include "coordinator/core/coordinator.hpp"
#include "tests/coordinator/fake_etcd.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace regroup::coordinator::test {

inline JobSpec tiny_job(int max_groups = 2) {
  JobSpec job = regroup::testing::tiny_job();
  job.name = "job";
  job.model.num_local_experts = 8;
  job.steps = 100;
  job.sequences_per_microbatch = 1;
  job.sequence_length = 16;
  job.elastic.max_groups = max_groups;
  job.elastic.max_nodes = 16;
  return job;
}

// Drives one coordinator (or several, by index) through events; every transaction is done at once.
class CoreWorld {
 public:
  explicit CoreWorld(int num_coordinators = 1) {
    for (int i = 0; i < num_coordinators; ++i)
      seats_.push_back({std::make_unique<Coordinator>("c", "coordinator-" + std::to_string(i)), 0, false});
  }

  FakeEtcd etcd;
  Keys keys{"c"};
  Now now{Instant{} + std::chrono::hours(1), 1'000'000};
  std::vector<Plan> plans;           // as published, all jobs
  std::vector<std::string> refused;  // keys of writes that a compare stopped
  bool frozen = false;               // etcd answers nothing
  Step safe{1};                      // of every progress report

  Coordinator& core(int i = 0) { return *seats_[static_cast<std::size_t>(i)].core; }

  void start(int i = 0) {
    Seat& seat = seats_[static_cast<std::size_t>(i)];
    feed(seat, StoreUpdate{etcd.everything()});
    seat.cursor = etcd.log.size();
    seat.watching = true;
    lead(i);
  }
  void watch_only(int i) {
    Seat& seat = seats_[static_cast<std::size_t>(i)];
    feed(seat, StoreUpdate{etcd.everything()});
    seat.cursor = etcd.log.size();
    seat.watching = true;
  }
  void lead(int i) {
    const std::string key = keys.leader() + "/" + std::to_string(i);
    etcd.put(key, "coordinator");
    feed(seats_[static_cast<std::size_t>(i)], LeadershipGained{key, etcd.get(key)->create_revision});
    pump();
  }
  void depose(int i, bool told = true) {
    etcd.erase(keys.leader() + "/" + std::to_string(i));
    if (told) feed(seats_[static_cast<std::size_t>(i)], LeadershipLost{});
  }

  // Lets every pending change reach the coordinators, and their answers etcd, until nothing moves.
  void pump() {
    if (frozen) return;
    for (bool moved = true; moved;) {
      moved = false;
      for (Seat& seat : seats_) {
        if (!seat.watching || seat.cursor == etcd.log.size()) continue;
        WatchUpdate update{
            false, true, etcd.revision, {etcd.log.begin() + static_cast<std::ptrdiff_t>(seat.cursor), etcd.log.end()}};
        seat.cursor = etcd.log.size();
        moved = true;
        feed(seat, StoreUpdate{update});
      }
    }
  }
  void advance(int ms) {
    for (int done = 0; done < ms; done += 50) {
      now.at += Span{50};
      now.wall_ms += 50;
      for (Seat& seat : seats_) {
        if (!seat.watching) continue;
        if (!frozen) feed(seat, EtcdContact{});
        feed(seat, Tick{});
      }
      pump();
    }
  }

  // ---- agents and workers ----

  static WorkerId worker(const std::string& node, int start = 0, std::uint64_t incarnation = 1) {
    return {NodeId(node), incarnation, 0, start};
  }
  static std::int64_t lease_of(const std::string& node) {
    return static_cast<std::int64_t>(std::hash<std::string>{}(node) % 1'000'000) + 1;
  }

  void put_job(const JobSpec& job) { etcd.put(keys.spec(job.name), to_json(job)), pump(); }
  void put_node(const NodeRecord& record) {
    etcd.put(keys.node(record.node), to_json(record), lease_of(record.node.value)), pump();
  }
  NodeRecord record(const std::string& node) {
    const KeyValue* kv = etcd.get(keys.node(NodeId(node)));
    if (kv != nullptr) return *node_from_json(kv->value);
    NodeRecord record;
    record.node = NodeId(node);
    record.incarnation = 1;
    record.agent_address = "unix:/agent/" + node;
    return record;
  }
  void set_worker(const std::string& node, WorkerState state, Epoch epoch = {}, int start = 0,
                  const std::string& job = "job") {
    NodeRecord r = record(node);
    WorkerId id = worker(node, start, r.incarnation);
    r.workers = {{id, job, state == WorkerState::kStarting ? "" : "unix:/worker/" + node + std::to_string(start), state,
                  epoch, "same", "text"}};
    put_node(r);
  }
  // It was interrupted in this epoch, or lacks a source of state.
  void waits(const std::string& node, Epoch epoch, bool lacks = false) {
    NodeRecord r = record(node);
    for (WorkerRecord& worker : r.workers) {
      worker.state = WorkerState::kWaiting;
      worker.epoch = epoch;
      worker.text = lacks ? "step 7 lacks a block" : "a peer closed the connection";
      worker.lacks = lacks;
    }
    put_node(r);
  }
  void warm(const std::string& node, int start = 0) { set_worker(node, WorkerState::kWarm, plan().epoch, start); }
  void agent_says_exit(const std::string& node, int start = 0) {
    NodeRecord r = record(node);
    suspect(node, epoch(), {{worker(node, start, r.incarnation), Evidence::kExit, now.wall_ms - 1}});
  }
  void suspect(const std::string& reporter, Epoch at, const std::vector<Suspicion>& suspicions) {
    std::string key = reporter;
    std::replace(key.begin(), key.end(), '/', ':');
    etcd.put(keys.suspect(key), to_json(SuspectRecord{key, at, suspicions}));
    pump();
  }
  void suspect(const WorkerId& reporter, const std::vector<WorkerId>& whom, Evidence evidence) {
    std::vector<Suspicion> suspicions;
    for (const WorkerId& id : whom) suspicions.push_back({id, evidence, now.wall_ms - 2});
    suspect(to_string(reporter), epoch(), suspicions);
  }
  void progress(const std::string& node, std::int64_t step, ProgressState state = ProgressState::kTraining,
                const std::string& reason = "", const std::string& digest = "") {
    ProgressRecord record{epoch(), Step(step), 1.0, 1.0, now.wall_ms, state, reason, digest};
    record.safe = safe;
    etcd.put(keys.progress("job", NodeId(node)), to_json(record));
    pump();
  }
  void vanish(const std::string& node) { etcd.expire(lease_of(node)), pump(); }

  // n nodes with ready workers, one job, its first plan in force.
  void train_on(int n, const JobSpec& job = tiny_job()) {
    put_job(job);
    for (int i = 0; i < n; ++i) put_node(record(name(i)));
    for (int i = 0; i < n; ++i) set_worker(name(i), WorkerState::kReady);
    ASSERT_EQ(plans.size(), 1U) << status().reason;
    for (int i = 0; i < n; ++i) set_worker(name(i), WorkerState::kTraining);
    progress(name(0), 1);
    advance(5000);  // a session long enough for absence to count
    ASSERT_EQ(plans.size(), 1U);
  }
  static std::string name(int i) { return "node-" + std::to_string(i); }

  // ---- what came of it ----

  [[nodiscard]] const Plan& plan() const { return plans.back(); }
  [[nodiscard]] Epoch epoch() const { return plans.empty() ? Epoch{} : plans.back().epoch; }
  [[nodiscard]] std::vector<std::string> members() const {
    std::vector<std::string> nodes;
    for (const Participant& p : plan().members) nodes.push_back(p.worker.node.value);
    std::sort(nodes.begin(), nodes.end());
    return nodes;
  }
  [[nodiscard]] JobStatus status(const std::string& job = "job") const {
    const KeyValue* kv = etcd.get(keys.status(job));
    return kv == nullptr ? JobStatus{} : *job_status_from_json(kv->value);
  }
  [[nodiscard]] std::string assigned(const std::string& node) const {
    const KeyValue* kv = etcd.get(keys.assignment(NodeId(node)));
    return kv == nullptr ? "" : assignment_from_json(kv->value)->job;
  }

 private:
  struct Seat {
    std::unique_ptr<Coordinator> core;
    std::size_t cursor;
    bool watching;
  };

  void feed(Seat& seat, const Event& event) {
    for (Action& action : seat.core->step(now, {event})) {
      if (const auto* scan = std::get_if<ScanCheckpoints>(&action)) {
        feed(seat, CheckpointsScanned{scan->job, {}, ""});
        continue;
      }
      const Write& write = std::get<Write>(action);
      if (frozen) {
        feed(seat, WriteFinished{write.id, WriteOutcome::kFailed, 0});
        continue;
      }
      const bool done = etcd.txn(write.when, write.then);
      if (!done) refused.push_back(write.key);
      if (done && write.plan) {
        EXPECT_TRUE(plans.empty() || write.plan->epoch.value == plans.back().epoch.value + 1);
        plans.push_back(*write.plan);
      }
      feed(seat, WriteFinished{write.id, done ? WriteOutcome::kDone : WriteOutcome::kRefused, etcd.revision});
    }
  }

  std::vector<Seat> seats_;
};

}  // namespace regroup::coordinator::test
