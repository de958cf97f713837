// worker_process.hpp: one worker as a child process: its socket, its pidfd, its end.
//
// The child dies with this agent: it sees the end of the socket, and the kernel kills it when the *thread* that started
// it ends (PDEATHSIG). So start it from the main thread. It may wait under no name, with its libraries loaded, until
// somebody listens to it.
//
// Threads: start on main's; tell and kill on any, neither blocks: messages wait in a queue, so that a stopped worker
// stops nobody. The queue has no limit: it grows by a plan an epoch and an answer a snapshot, and a plan that goes on
// without the worker ends it. Events come on a thread of this object; on_message may wait, which holds up this worker
// alone.
#pragma once

#include "api/worker_protocol.hpp"
#include "base/work_queue.hpp"
#include "net/framed_socket.hpp"

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace regroup::agent {

struct WorkerEvents {
  std::function<void(FromWorker)> on_message;
  std::function<void(int signal, int status)> on_ended;  // last; exactly once
};

class WorkerProcess {
 public:
  // kUnavailable: no such program, no more processes.
  static Result<std::unique_ptr<WorkerProcess>> start(const std::string& program,
                                                      const std::vector<std::string>& environment);
  ~WorkerProcess();  // SIGKILL, and waits for its end
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // Once. What it said and whether it ended before comes now.
  void listen_to(WorkerEvents events);
  [[nodiscard]] bool has_ended() const;
  // `fd` (or -1) is duplicated at once and goes along.
  void tell(const ToWorker& message, int fd = -1);
  void kill();
  [[nodiscard]] int pid() const { return pid_; }

 private:
  WorkerProcess(int pid, int pidfd, int socket);
  void listen();
  siginfo_t wait_for_end() const;

  int pid_;
  int pidfd_;
  FramedSocket socket_;
  WorkerEvents events_;
  std::unique_ptr<WorkQueue> outgoing_;
  std::thread listener_;
};

}  // namespace regroup::agent
