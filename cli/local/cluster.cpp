#include "cli/local/cluster.hpp"

#include "base/child.hpp"
#include "base/replace_file.hpp"
#include "cli/etcd/loopback.hpp"
#include "cli/local/processes.hpp"
#include "net/socket_directory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace regroup::cli {

namespace fs = std::filesystem;

namespace {

std::string last_line_of(const std::string& path) {
  std::ifstream in(path);
  std::string last;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) last = line;
  return last;
}

}  // namespace

Result<std::unique_ptr<Cluster>> Cluster::start(const ClusterOptions& options) {
  for (const char* program : {"regroup-agent", "regroup-coordinator", "regroup-worker"})
    if (::access((options.programs + "/" + program).c_str(), X_OK) != 0)
      return Error{Code::kNotFound,
                   "there is no program " + options.programs + "/" + program + "; `./dev build` makes it"};
  adopt_orphans();
  std::unique_ptr<Cluster> cluster(new Cluster(options));
  EtcdProcessOptions etcd;
  etcd.data_dir = options.dir + "/etcd";
  etcd.log_file = options.dir + "/etcd.log";
  auto started = EtcdProcess::start(etcd);
  if (!started) return started.error();
  cluster->etcd_ = std::move(*started);
  for (int k = 1; k <= options.coordinators; ++k)
    if (auto one = cluster->start_coordinator("coordinator-" + std::to_string(k)); !one) return one.error();
  return cluster;
}

Cluster::~Cluster() { shut_down(0); }

// Adds the option, and lists the port in DIR/metrics.json as Prometheus' file_sd_configs reads it: replaced as a whole,
// so that no reader sees half of it.
void Cluster::serve_metrics(const std::string& name, std::vector<std::string>& argv) {
  if (!options_.metrics) return;
  int& port = metrics_ports_[name];  // kept over restarts
  if (port == 0) port = free_ports(1).front();
  argv.insert(argv.end(), {"--metrics", "127.0.0.1:" + std::to_string(port)});
  using namespace std::string_literals;
  std::string list;
  for (const auto& [instance, at] : metrics_ports_)
    list += (list.empty() ? "[" : ",\n ") + R"({"targets": ["127.0.0.1:)"s + std::to_string(at) +
            R"("], "labels": {"process": ")" + instance + R"("}})";
  (void)replace_file(options_.dir + "/metrics.json", list + "]\n");
}

Result<int> Cluster::start_process(const std::string& name, std::vector<std::string> argv) {
  serve_metrics(name, argv);
  const std::string path = log_of(name);
  const int log = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return Error{Code::kBadInput, "cannot write " + path + ": " + std::strerror(errno)};
  auto pid = start_child({.arguments = std::move(argv), .output = log});
  ::close(log);
  return pid;
}

Result<void> Cluster::start_coordinator(const std::string& id) {
  auto pid = start_process(
      id, {options_.programs + "/regroup-coordinator", "--etcd", endpoint(), "--cluster", options_.name, "--id", id});
  if (!pid) return pid.error();
  coordinators_[id] = *pid;
  return {};
}

Result<void> Cluster::start_node(const std::string& node) {
  if (runs(node)) return Error{Code::kConflict, node + " runs already"};
  std::error_code error;
  fs::create_directories(node_dir(node), error);
  if (error) return Error{Code::kBadInput, "cannot make " + node_dir(node) + ": " + error.message()};
  std::vector<std::string> argv{options_.programs + "/regroup-agent",
                                "--etcd",
                                endpoint(),
                                "--cluster",
                                options_.name,
                                "--node",
                                node,
                                "--dir",
                                node_dir(node)};
  for (const std::string& setting : options_.worker_env) argv.push_back("--worker-env=" + setting);
  auto pid = start_process(node, std::move(argv));
  if (!pid) return pid.error();
  nodes_[node] = *pid;
  return {};
}

std::vector<std::string> Cluster::nodes() const {
  std::vector<std::string> names;
  for (const auto& [name, pid] : nodes_) names.push_back(name);
  return names;
}

int Cluster::agent_pid(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? 0 : found->second;
}

std::vector<int> Cluster::worker_pids(const std::string& node) const {
  const int agent = agent_pid(node);
  return agent > 0 ? children_of(agent) : std::vector<int>();
}

void Cluster::signal_workers(const std::string& node, int signal) const {
  for (const int pid : worker_pids(node)) ::kill(pid, signal);
}

void Cluster::signal_node(const std::string& node, int signal) const {
  const int agent = agent_pid(node);
  if (agent <= 0) return;
  const auto workers = worker_pids(node);
  ::kill(agent, signal);
  for (const int pid : workers) ::kill(pid, signal);
}

void Cluster::kill_node(const std::string& node) {
  if (!runs(node)) return;
  expected_.insert(agent_pid(node));
  signal_node(node, SIGKILL);
  nodes_.erase(node);
  std::error_code error;
  if (!sockets_fit(node_dir(node))) fs::remove_all(socket_directory(node_dir(node)), error);
}

void Cluster::drain_node(const std::string& node) {
  if (!runs(node)) return;
  expected_.insert(agent_pid(node));
  ::kill(agent_pid(node), SIGTERM);
}

bool Cluster::kill_coordinator(const std::string& id) {
  const auto found = coordinators_.find(id);
  if (found == coordinators_.end()) return false;
  expected_.insert(found->second);
  ::kill(found->second, SIGKILL);
  coordinators_.erase(found);
  return true;
}

void Cluster::kill_everything() {
  for (const auto& node : nodes()) kill_node(node);
  while (!coordinators_.empty()) kill_coordinator(coordinators_.begin()->first);
  etcd_->kill();
}

Result<void> Cluster::start_control_plane() {
  if (auto up = etcd_->restart(); !up) return up;
  for (int k = 1; k <= options_.coordinators; ++k)
    if (auto one = start_coordinator("coordinator-" + std::to_string(k)); !one) return one;
  return {};
}

std::vector<UnexpectedEnd> Cluster::unexpected_ends() {
  std::vector<UnexpectedEnd> ends;
  const auto note = [&](UnexpectedEnd::Of of, std::map<std::string, int>& processes, const ChildEnd& end) {
    for (auto it = processes.begin(); it != processes.end(); ++it) {
      if (it->second != end.pid) continue;
      if (expected_.count(end.pid) == 0)
        ends.push_back({of, it->first + " ended by itself " +
                                (end.status >= 128 ? "by signal " + std::to_string(end.status - 128)
                                                   : "with status " + std::to_string(end.status)) +
                                "; the last line of " + log_of(it->first) + ": " + last_line_of(log_of(it->first))});
      processes.erase(it);
      return;
    }
  };
  for (const ChildEnd& end : collect_children()) {
    note(UnexpectedEnd::Of::kNode, nodes_, end);
    note(UnexpectedEnd::Of::kCoordinator, coordinators_, end);
    expected_.erase(end.pid);
  }
  return ends;
}

void Cluster::shut_down(double seconds) {
  const auto all = [&] {
    std::vector<int> pids;
    for (const auto& [name, pid] : nodes_) pids.push_back(pid);
    for (const auto& [name, pid] : coordinators_) pids.push_back(pid);
    return pids;
  };
  const auto wait = [&](double limit) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(limit);
    while (!all().empty() && std::chrono::steady_clock::now() < until) {
      unexpected_ends();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  };
  for (const int pid : all()) {
    expected_.insert(pid);
    if (seconds <= 0) continue;  // a drain that is cut short would leave its notice in etcd
    ::kill(pid, SIGTERM);
    ::kill(pid, SIGCONT);
  }
  if (seconds > 0) wait(seconds);
  for (const auto& node : nodes()) kill_node(node);
  while (!coordinators_.empty()) kill_coordinator(coordinators_.begin()->first);
  if (etcd_) etcd_->kill();
  // Workers die with their agents and are ours then: wait until nobody is left.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (auto rest = children_of(::getpid()); !rest.empty() && std::chrono::steady_clock::now() < until;
       rest = children_of(::getpid())) {
    for (const int pid : rest) ::kill(pid, SIGKILL);
    collect_children();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  expected_.clear();
}

}  // namespace regroup::cli
