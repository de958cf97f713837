// etcd_process.hpp: a private etcd as a child of this process, for `regroup local` and for tests: started, stopped,
// frozen and started again.
//
// Needs /usr/bin/etcd or one in PATH (Debian: etcd-server). Listens on 127.0.0.1 only. The child dies with the *thread*
// that started it (PDEATHSIG), so start and restart from one that lives as long as the child should. It has a process
// group of its own: Ctrl-C does not reach it. Thread: one at a time.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace regroup::cli {

struct EtcdProcessOptions {
  std::string data_dir;  // kept; empty = a fresh directory, removed at the end
  int client_port = 0;   // 0 = a free one
  int peer_port = 0;
  std::string log_file;  // appended to; empty = <data_dir>/etcd.log
  std::string name = "regroup";
  std::string initial_cluster;  // name=http://127.0.0.1:PEERPORT,...; empty = alone
  std::chrono::milliseconds ready_timeout{20'000};
};

class EtcdProcess {
 public:
  // Returns when it answers. kBadInput: no etcd installed, a directory that cannot be written. kConflict: a port is
  // in use. kTimeout: it does not answer.
  static Result<std::unique_ptr<EtcdProcess>> start(const EtcdProcessOptions& options = {});
  // As start, but returns before it answers: a member waits for the others.
  static Result<std::unique_ptr<EtcdProcess>> launch(const EtcdProcessOptions& options);
  ~EtcdProcess();  // SIGKILL
  EtcdProcess(const EtcdProcess&) = delete;
  EtcdProcess& operator=(const EtcdProcess&) = delete;

  [[nodiscard]] std::string endpoint() const;     // 127.0.0.1:PORT
  [[nodiscard]] int pid() const { return pid_; }  // 0 = not running
  [[nodiscard]] const EtcdProcessOptions& options() const { return options_; }
  Result<void> wait_ready();
  void kill();             // SIGKILL, and waits for its end
  void stop();             // SIGTERM, and waits for its end (SIGKILL after 5 s)
  void pause();            // SIGSTOP
  void resume();           // SIGCONT
  Result<void> restart();  // after kill or stop: same directory and ports; returns when it answers

 private:
  explicit EtcdProcess(EtcdProcessOptions options, bool own_dir) : options_(std::move(options)), own_dir_(own_dir) {}
  Result<void> spawn();
  [[nodiscard]] bool alive();
  [[nodiscard]] std::string cause() const;

  EtcdProcessOptions options_;
  bool own_dir_;
  int pid_ = 0;
  long log_start_ = 0;
};

}  // namespace regroup::cli
