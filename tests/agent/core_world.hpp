// core_world.hpp: the agent's core alone, with a clock and an etcd that remembers what it was told.
#pragma once

#include "agent/core/agent.hpp"
#include "tests/support/tiny_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regroup::agent {

using std::chrono::milliseconds;

// One agent of node `n`, its clock, and what it last said in etcd.
class World {
 public:
  explicit World(int slots = 1, std::vector<std::string> worker_settings = {})
      : core_(facts(slots, std::move(worker_settings))) {}

  Now now{Instant{} + std::chrono::hours(1), 1'000'000};
  std::map<std::string, std::string> etcd;
  std::vector<Action> actions;  // of the last event

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
    feed(JobKnown{testing::tiny_job()});
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
  const Agent& core() const { return core_; }
  // Steps [first, last] of an epoch, a second apart, whose experts get this.
  void commit(const WorkerId& id, std::uint64_t epoch, std::int64_t first, std::int64_t last,
              const std::vector<std::int64_t>& load) {
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
    Plan plan = testing::tiny_plan();
    plan.epoch = Epoch(epoch);
    plan.parent = Epoch(epoch - 1);
    plan.members[0] = {worker, "unix:/w", "unix:/agent-n"};
    return plan;
  }
  static Plan plan_without(std::uint64_t epoch) {
    Plan plan = testing::tiny_plan();
    plan.epoch = Epoch(epoch);
    plan.parent = Epoch(epoch - 1);
    plan.when = When::kNow;
    return plan;
  }

 private:
  static NodeFacts facts(int slots, std::vector<std::string> worker_settings) {
    NodeFacts f;
    f.worker_settings = std::move(worker_settings);
    f.cluster = "c";
    f.node = NodeId("n");
    f.incarnation = 0xabc;
    f.agent_address = "unix:/agent-n";
    f.slots = slots;
    return f;
  }
  Agent core_;
};

}  // namespace regroup::agent
