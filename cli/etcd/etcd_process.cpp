#include "cli/etcd/etcd_process.hpp"

#include "base/child.hpp"
#include "base/environment.hpp"
#include "cli/etcd/etcd_log.hpp"
#include "cli/etcd/loopback.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace regroup::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace fs = std::filesystem;

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders((path == nullptr ? "" : std::string(path)) + ":/usr/bin:/usr/local/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string file = folder + "/" + name;
    if (!folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

// Without the caller's ETCD_*, which etcd takes for settings of its own, and without the proxies, which stand between
// it and 127.0.0.1. One of them only says that this kind of machine is fine.
std::vector<std::string> etcd_environment() {
  std::vector<std::string> environment = plain_environment();
  if (const char* machine = std::getenv("ETCD_UNSUPPORTED_ARCH"); machine != nullptr)
    set_variable(environment, std::string("ETCD_UNSUPPORTED_ARCH=") + machine);
  set_variable(environment, "ETCDCTL_API=3");
  return environment;
}

}  // namespace

Result<std::unique_ptr<EtcdProcess>> EtcdProcess::launch(const EtcdProcessOptions& given) {
  EtcdProcessOptions options = given;
  const bool own_dir = options.data_dir.empty();
  if (own_dir) {
    std::string path = (fs::temp_directory_path() / "regroup-etcd-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr)
      return Error{Code::kBadInput, "cannot make a directory " + path + " for etcd: " + std::strerror(errno)};
    options.data_dir = path;
  } else {
    std::error_code error;
    fs::create_directories(options.data_dir, error);
    if (error)
      return Error{Code::kBadInput, "cannot make the directory " + options.data_dir + " for etcd: " + error.message()};
  }
  if (options.log_file.empty()) options.log_file = options.data_dir + "/etcd.log";
  const std::vector<int> ports = free_ports(2);
  if (ports.size() < 2) return Error{Code::kBadInput, "no free port on 127.0.0.1 for etcd"};
  if (options.client_port == 0) options.client_port = ports[0];
  if (options.peer_port == 0) options.peer_port = ports[1];
  std::unique_ptr<EtcdProcess> process(new EtcdProcess(options, own_dir));
  const Result<void> spawned = process->spawn();
  if (!spawned) return spawned.error();
  return process;
}

Result<std::unique_ptr<EtcdProcess>> EtcdProcess::start(const EtcdProcessOptions& options) {
  for (int attempt = 0;; ++attempt) {
    auto process = launch(options);
    const Result<void> ready = process ? (*process)->wait_ready() : Result<void>(process.error());
    if (ready) return process;
    // A port that was free may be taken by the time etcd binds it: draw again if we drew it.
    const bool ours = options.client_port == 0 && options.peer_port == 0;
    if (!ours || attempt == 2 || ready.error().code != Code::kConflict) return ready.error();
  }
}

Result<void> EtcdProcess::spawn() {
  const std::string program = find_program("etcd");
  if (program.empty()) return Error{Code::kBadInput, "etcd is not installed; install Debian's package etcd-server"};
  for (const int port : {options_.client_port, options_.peer_port})
    if (!is_free(port))
      return Error{Code::kConflict, "the port " + std::to_string(port) +
                                        " for etcd is in use; choose another one or stop what listens there"};
  const int log = open(options_.log_file.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0)
    return Error{Code::kBadInput, "cannot write etcd's log " + options_.log_file + ": " + std::strerror(errno)};
  log_start_ = static_cast<long>(lseek(log, 0, SEEK_END));
  const std::string client = "http://127.0.0.1:" + std::to_string(options_.client_port);
  const std::string peer = "http://127.0.0.1:" + std::to_string(options_.peer_port);
  std::vector<std::string> arguments{
      program, "--name=" + options_.name, "--data-dir=" + options_.data_dir + "/data", "--listen-client-urls=" + client,
      "--advertise-client-urls=" + client, "--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
      "--initial-cluster=" + (options_.initial_cluster.empty() ? options_.name + "=" + peer : options_.initial_cluster),
      "--logger=zap", "--log-level=warn", "--auto-compaction-mode=periodic", "--auto-compaction-retention=1h",
      // leases of 1 s are possible, and a restart takes well under a second
      "--heartbeat-interval=50", "--election-timeout=500"};
  const auto pid = start_child({.arguments = std::move(arguments), .environment = etcd_environment(), .output = log});
  close(log);
  if (!pid) return pid.error();
  pid_ = *pid;
  return {};
}

EtcdProcess::~EtcdProcess() {
  kill();
  if (!own_dir_) return;
  std::error_code ignored;
  fs::remove_all(options_.data_dir, ignored);
}

std::string EtcdProcess::endpoint() const { return "127.0.0.1:" + std::to_string(options_.client_port); }

bool EtcdProcess::alive() {
  if (pid_ == 0) return false;
  if (waitpid(pid_, nullptr, WNOHANG) == 0) return true;
  pid_ = 0;
  return false;
}

std::string EtcdProcess::cause() const {
  std::ifstream file(options_.log_file);
  file.seekg(log_start_);
  return cause_in_log(file);
}

Result<void> EtcdProcess::wait_ready() {
  const auto until = steady_clock::now() + options_.ready_timeout;
  while (steady_clock::now() < until) {
    if (!alive()) {
      const std::string why = cause();
      if (why.find("address already in use") != std::string::npos)
        return Error{Code::kConflict, "a port for etcd (" + std::to_string(options_.client_port) + " or " +
                                          std::to_string(options_.peer_port) +
                                          ") is in use; choose another one or stop what listens there"};
      return Error{Code::kBadInput, "etcd ended at its start: " + why + " (" + options_.log_file + ")"};
    }
    if (is_healthy(options_.client_port)) return {};
    std::this_thread::sleep_for(milliseconds(10));
  }
  return Error{Code::kTimeout, "etcd on port " + std::to_string(options_.client_port) + " is not ready after " +
                                   std::to_string(options_.ready_timeout.count() / 1000) + " s; what it says in " +
                                   options_.log_file + ": " + cause()};
}

void EtcdProcess::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void EtcdProcess::stop() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGCONT);
  ::kill(pid_, SIGTERM);
  const auto until = steady_clock::now() + std::chrono::seconds(5);
  while (alive() && steady_clock::now() < until) std::this_thread::sleep_for(milliseconds(5));
  kill();
}

void EtcdProcess::pause() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGSTOP);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WNOWAIT);  // returns when it has stopped (or died)
}

void EtcdProcess::resume() {
  if (pid_ != 0) ::kill(pid_, SIGCONT);
}

Result<void> EtcdProcess::restart() {
  kill();
  Result<void> spawned = spawn();
  if (!spawned) return spawned;
  return wait_ready();
}

}  // namespace regroup::cli
