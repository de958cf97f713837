// cluster.hpp: etcd, coordinators and agents of one local run as child processes; nothing of it outlives this object.
//
// DIR/etcd, DIR/etcd.log, DIR/coordinator-<k>.log, DIR/node-<i>/ (the agent's directory), DIR/node-<i>.log. Thread:
// main's only (children die with the thread that started them).
#pragma once

#include "base/result.hpp"
#include "cli/etcd/etcd_process.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace regroup::cli {

struct ClusterOptions {
  std::string dir;       // absolute, exists
  std::string programs;  // directory of regroup-agent, regroup-coordinator, regroup-worker
  std::string name = "local";
  int coordinators = 1;
  std::vector<std::string> worker_env;  // NAME=VALUE for the workers of every agent
  bool metrics = false;                 // /metrics on free ports, listed in DIR/metrics.json
};

// A process that ended without being asked to.
struct UnexpectedEnd {
  enum class Of { kNode, kCoordinator };
  Of of = Of::kNode;
  std::string text;  // a sentence, with the last line of its log
};

class Cluster {
 public:
  // kNotFound when a program is missing.
  static Result<std::unique_ptr<Cluster>> start(const ClusterOptions& options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] std::string endpoint() const { return etcd_->endpoint(); }
  EtcdProcess& etcd() { return *etcd_; }

  Result<void> start_node(const std::string& node);  // kConflict: it runs
  Result<void> start_coordinator(const std::string& id);
  [[nodiscard]] bool runs(const std::string& node) const { return nodes_.count(node) == 1; }
  [[nodiscard]] bool runs_coordinator(const std::string& id) const { return coordinators_.count(id) == 1; }
  [[nodiscard]] std::vector<std::string> nodes() const;
  [[nodiscard]] std::string node_dir(const std::string& node) const { return options_.dir + "/" + node; }
  [[nodiscard]] int agent_pid(const std::string& node) const;  // 0: does not run
  [[nodiscard]] std::vector<int> worker_pids(const std::string& node) const;

  void signal_workers(const std::string& node, int signal) const;
  void kill_node(const std::string& node);                      // SIGKILL of agent and workers
  void signal_node(const std::string& node, int signal) const;  // agent and workers
  void drain_node(const std::string& node);                     // SIGTERM of the agent; its end is expected
  bool kill_coordinator(const std::string& id);                 // false: no such one runs
  void kill_everything();                                       // agents, workers, coordinators, etcd
  Result<void> start_control_plane();                           // etcd and all coordinators, after kill_everything

  std::vector<UnexpectedEnd> unexpected_ends();  // call often: collects the dead
  // SIGTERM, then SIGKILL after `seconds` (0: at once, no drain begins); returns when every process below us is gone.
  void shut_down(double seconds);

 private:
  explicit Cluster(ClusterOptions options) : options_(std::move(options)) {}
  [[nodiscard]] std::string log_of(const std::string& name) const { return options_.dir + "/" + name + ".log"; }
  // A program with its log, DIR/NAME.log.
  Result<int> start_process(const std::string& name, std::vector<std::string> argv);
  void serve_metrics(const std::string& name, std::vector<std::string>& argv);

  ClusterOptions options_;
  std::unique_ptr<EtcdProcess> etcd_;
  std::map<std::string, int> nodes_, coordinators_;  // name -> pid
  std::map<std::string, int> metrics_ports_;         // of nodes and coordinators
  std::set<int> expected_;                           // pids whose end is ours
};

}  // namespace regroup::cli
