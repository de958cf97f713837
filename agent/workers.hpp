// workers.hpp: the worker processes of this node: those that carry out plans, and the spare that becomes the next of
// them.
//
// Threads: main's alone (workers die with the thread that started them). What workers say, and their end, is posted
// from threads of theirs.
#pragma once

#include "agent/core/agent.hpp"
#include "agent/worker_process.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace regroup::agent {

struct WorkersOptions {
  std::string program;
  std::vector<std::string> environment;  // worker_environment()
  std::string sockets;                   // directory of unix sockets, or "tcp:HOST"
  std::string directory;                 // of this agent: below it a worker's profile
  std::string agent_address;             // where the keeper is asked for snapshots
  bool peer_memory = true;               // whether workers of one machine may copy from each other's memory
};

// On threads of the workers.
struct WorkersEvents {
  std::function<void(WorkerSays)> says;  // may wait: the worker is held up once its socket is full
  std::function<void(const WorkerEnded&)> ended;
};

class Workers {
 public:
  Workers(WorkersOptions options, WorkersEvents events) : options_(std::move(options)), events_(std::move(events)) {}

  // The spare where there is one. Gives the process id; kUnavailable as WorkerProcess::start.
  Result<int> start(const StartWorker& order);
  Result<int> start_spare();
  [[nodiscard]] std::shared_ptr<WorkerProcess> find(const WorkerId& worker) const;  // null: it has ended
  void forget(const WorkerId& worker);
  void end_all();  // the spare, too

 private:
  Result<std::unique_ptr<WorkerProcess>> new_process();

  WorkersOptions options_;
  WorkersEvents events_;
  std::map<WorkerId, std::shared_ptr<WorkerProcess>> workers_;
  std::unique_ptr<WorkerProcess> spare_;
};

}  // namespace regroup::agent
