// happenings.hpp: the fault injector: carries out a scenario's events when they are due. What follows from one later
// (etcd comes back, a killed coordinator is replaced) waits in the same list. Thread: main's only (it starts children).
#pragma once

#include "api/keys.hpp"
#include "cli/local/cluster.hpp"
#include "cli/local/run_record.hpp"
#include "cli/local/scenario.hpp"
#include "store/store.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace regroup::cli {

// What it acts on.
struct HappeningsWorld {
  Cluster& cluster;
  Store& store;
  const Keys& keys;
  std::string job;
  RunRecord& record;                             // what was done is noted there
  std::function<void(const std::string&)> note;  // a line for people
  std::function<Result<void>(const std::string&)> start_node;
  std::function<void()> restarted;  // called after kRestartAll
};

class Happenings {
 public:
  // `num_nodes` start with the run: node-<num_nodes + 1> is the first that joins without a name.
  Happenings(const std::vector<ScenarioEvent>& events, int num_nodes, HappeningsWorld world)
      : events_(events), world_(std::move(world)), highest_node_(num_nodes) {}

  // Does what is due by now. An error ends the run.
  Result<void> do_due();
  // The wall clock's time at which do_due must be called even if no journal grows until then; max: none. Events that
  // wait for a step or an epoch have no such time, because a journal tells of those.
  [[nodiscard]] std::int64_t next_due_ms() const;
  [[nodiscard]] bool over() const { return next_event_ >= events_.size(); }

 private:
  struct Due {
    std::int64_t at_ms;
    std::function<Result<void>()> what;
  };
  Result<void> perform(const ScenarioEvent& event);
  [[nodiscard]] std::string choose_node(const ScenarioEvent& event) const;
  Result<void> disturb_node(const ScenarioEvent& event);  // kills, stops and drains
  Result<void> join(const ScenarioEvent& event);
  Result<void> scale(const ScenarioEvent& event);
  Result<void> kill_leader();
  Result<void> stop_etcd(const ScenarioEvent& event);
  Result<void> freeze_etcd(const ScenarioEvent& event);
  Result<void> restart_all(const ScenarioEvent& event);
  void injected(Deed deed, const std::string& what);
  void later(double seconds, std::function<Result<void>()> what);

  const std::vector<ScenarioEvent>& events_;
  HappeningsWorld world_;
  std::size_t next_event_ = 0;
  std::vector<Due> due_;
  int highest_node_;
};

}  // namespace regroup::cli
