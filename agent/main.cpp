// regroup-agent: the daemon of a node. Registers it, runs its workers, keeps their snapshots.
#include "agent/shell.hpp"
#include "api/keys.hpp"
#include "base/address_text.hpp"
#include "base/log.hpp"
#include "base/random_bytes.hpp"
#include "base/termination.hpp"
#include "base/version.hpp"
#include "metrics/exporter.hpp"
#include "metrics/http_server.hpp"
#include "net/socket_directory.hpp"
#include "store/etcd/etcd_store.hpp"
#include "store/etcd/tls_options.hpp"

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

namespace {

using namespace regroup;
namespace fs = std::filesystem;

struct Options {
  agent::ShellOptions shell;
  std::string node, etcd = "127.0.0.1:2379", directory, address, metrics_address, log_file, log_level = "info";
  std::vector<std::string> labels;
  std::uint64_t memory_bytes = 0;
  double lease_seconds = 3, drain_seconds = 120;
  EtcdOptions etcd_options;
};

int fail(const std::string& text) {
  std::fprintf(stderr, "regroup-agent: %s\n", text.c_str());
  return 2;
}

std::string host_name() {
  char host[256] = "node";
  gethostname(host, sizeof host - 1);
  return host;
}

void add_options(CLI::App& app, Options& o) {
  app.add_option("--etcd", o.etcd, "endpoints, separated by commas")->capture_default_str();
  app.add_option("--cluster", o.shell.facts.cluster, "name under which everything lies in etcd")->capture_default_str();
  app.add_option("--node", o.node, "this node's name, unique in the cluster (default: the host name)");
  app.add_option("--dir", o.directory, "journal, lock and sockets; one agent a directory")->required();
  app.add_option(
      "--address", o.address,
      "this host's name or address as the others reach it; left out: unix sockets, all nodes on this machine");
  app.add_option("--slots", o.shell.facts.slots, "workers at a time")->capture_default_str()->check(CLI::Range(1, 64));
  app.add_flag("!--no-spare", o.shell.facts.keeps_spare,
               "keep no process ready that has loaded its libraries: saves 60 MB, a worker that takes another's place "
               "joins later");
  app.add_flag("!--no-peer-memory", o.shell.peer_memory,
               "workers of one machine do not copy from each other's memory, but send everything through sockets");
  app.add_option("--memory", o.memory_bytes,
                 "what all workers together may use, such as 64GiB (default: the machine's)")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--zone", o.shell.facts.zone, "failure domain, for placement");
  app.add_option("--label", o.labels, "NAME=VALUE for people; may be repeated");
  app.add_option("--worker", o.shell.worker_program, "the worker's program (default: regroup-worker beside this one)");
  app.add_option("--lease-seconds", o.lease_seconds, "the node counts as absent that long after its last sign of life")
      ->capture_default_str()
      ->check(CLI::Range(3.0, 600.0));
  app.add_option("--drain-seconds", o.drain_seconds,
                 "after SIGTERM: leave at the latest then, even if the job has not let the node go")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--metrics", o.metrics_address, "HOST:PORT for /metrics, /healthz and /status (none if left out)");
  add_tls_options(app, o.etcd_options);
  app.add_option("--log-file", o.log_file, "append the log there instead of stderr");
  app.add_option("--log-level", o.log_level, "debug, info, warn or error")
      ->capture_default_str()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
}

// Made, ours alone, and locked for as long as this process lives.
std::string take_directory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return "cannot make --dir " + directory + ": " + error.message();
  const std::string lock = directory + "/lock";
  const int fd = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return "cannot write into --dir " + directory + ": " + std::strerror(errno);
  // A predecessor that was killed holds the lock until the kernel has freed its memory.
  for (int tries = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (tries == 50) return "another agent runs in " + directory + "; give each its own --dir";
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return "";
}

// The directory of the sockets, while the agent lives.
class SocketDirectory {
 public:
  explicit SocketDirectory(const std::string& directory)
      : path_(agent::socket_directory(directory)), temporary_(path_ != directory) {
    if (!temporary_) return;
    std::error_code error;
    fs::create_directories(path_, error);
    ::chmod(path_.c_str(), 0700);
  }
  ~SocketDirectory() {
    std::error_code error;
    if (temporary_) fs::remove_all(path_, error);
  }
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  const std::string path_;
  const bool temporary_;
};

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{
      "The daemon of a node: registers it in etcd, runs the workers of the job that it is assigned to, keeps their "
      "snapshots in memory.\n"
      "SIGTERM drains: the job moves away, then the agent ends. SIGKILL loses nothing that another node holds."};
  app.set_version_flag("--version", version_line("regroup-agent"));
  add_options(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }

  agent::NodeFacts& facts = o.shell.facts;
  o.directory = fs::absolute(o.directory).lexically_normal().string();
  facts.node = NodeId(o.node.empty() ? host_name() : o.node);
  if (!is_key_part(facts.node.value))
    return fail("--node '" + facts.node.value + "': a name has no slash, colon or blank");
  if (!is_key_part(facts.cluster))
    return fail("--cluster '" + facts.cluster + "': a name has no slash, colon or blank");
  if (!o.log_file.empty() && !std::ofstream(o.log_file, std::ios::app))
    return fail("cannot write --log-file " + o.log_file + ": " + std::strerror(errno));
  facts.incarnation = random_word();
  facts.memory_bytes = static_cast<std::int64_t>(o.memory_bytes);
  if (facts.memory_bytes == 0)
    facts.memory_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
  facts.metrics_address = o.metrics_address;
  facts.drain_limit = std::chrono::milliseconds(static_cast<std::int64_t>(o.drain_seconds * 1000));
  for (const std::string& label : o.labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos || equals == 0) return fail("--label '" + label + "': write NAME=VALUE");
    facts.labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  facts.labels.emplace("host", host_name());
  facts.labels["directory"] = o.directory;
  o.shell.lease_ttl = std::chrono::milliseconds(static_cast<std::int64_t>(o.lease_seconds * 1000));
  if (o.shell.worker_program.empty())
    o.shell.worker_program = fs::read_symlink("/proc/self/exe").parent_path() / "regroup-worker";
  if (access(o.shell.worker_program.c_str(), X_OK) != 0)
    return fail("there is no worker program " + o.shell.worker_program + "; give it with --worker");
  if (const std::string problem = take_directory(o.directory); !problem.empty()) return fail(problem);
  o.shell.directory = o.directory;
  std::optional<SocketDirectory> sockets;
  if (o.address.empty()) sockets.emplace(o.directory);
  o.shell.sockets = sockets ? sockets->path() : "tcp:" + host_in_address(o.address);
  const std::string peer_port = o.address.empty() ? "unix:" + o.shell.sockets + "/agent" : o.shell.sockets + ":0";

  log::start("agent " + facts.node.value, log::level_of(o.log_level), o.log_file);
  block_termination();

  auto store = EtcdStore::open(o.etcd, o.etcd_options);
  if (!store) return fail("--etcd " + o.etcd + ": " + store.error().context);
  auto opened = agent::AgentShell::open(**store, o.shell, peer_port);
  if (!opened) return fail(opened.error().context);
  agent::AgentShell& shell = **opened;

  std::unique_ptr<metrics::HttpServer> server;
  if (!o.metrics_address.empty()) {
    metrics::HttpPages pages;
    pages.metrics = [&] { return metrics::to_prometheus(shell.counters(), {"regroup-agent", version()}); };
    pages.health = [&] {
      const bool registered = shell.counters().registered;
      return metrics::Health{registered, registered ? "registered" : "not registered in etcd; workers go on"};
    };
    pages.status = [&] { return shell.status_json(); };
    auto started = metrics::HttpServer::start(o.metrics_address, pages);
    if (!started) return fail("--metrics: " + started.error().context);
    server = std::move(*started);
    log::info("metrics_served", {{"port", server->port()}});
  }
  log::info("agent_started", {{"cluster", facts.cluster},
                              {"etcd", o.etcd},
                              {"dir", o.directory},
                              {"slots", facts.slots},
                              {"incarnation", facts.incarnation}});

  int status = 0;
  {
    const OnTermination terminate([&] { shell.terminate(); });
    status = shell.run();
  }
  log::info("agent_stopped", {{"status", status}});
  return status;
}
