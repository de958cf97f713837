// happenings.hpp: what a scenario does to a local run, when it is due. Thread: main's only (it starts children).
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
  std::function<void()> restarted;  // everything was
};

class Happenings {
 public:
  // `num_nodes` start with the run: node-<num_nodes + 1> is the first that joins without a name.
  Happenings(const std::vector<ScenarioEvent>& events, int num_nodes, HappeningsWorld world)
      : events_(events), world_(std::move(world)), highest_node_(num_nodes) {}

  // Does what is due by now. An error ends the run.
  Result<void> do_due();
  // When do_due has something to do by time alone, as far as known now: wall clock; max: never.
  [[nodiscard]] std::int64_t next_due_ms() const;
  [[nodiscard]] bool over() const { return next_event_ >= events_.size(); }

 private:
  struct Due {
    std::int64_t at_ms;
    std::function<Result<void>()> what;
  };
  Result<void> perform(const ScenarioEvent& event);
  [[nodiscard]] std::string choose_node(const ScenarioEvent& event) const;
  Result<void> kill_leader();
  void injected(const ScenarioEvent& event, const std::string& what);
  void later(double seconds, std::function<Result<void>()> what);

  const std::vector<ScenarioEvent>& events_;
  HappeningsWorld world_;
  std::size_t next_event_ = 0;
  std::vector<Due> due_;
  int highest_node_;
};

}  // namespace regroup::cli
