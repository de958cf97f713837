// shell.hpp: the agent's core among real things: etcd, worker processes, the snapshot keeper, the journal. Holds no
// policy.
//
// Threads: run() is the core's only thread and must be the process's main one (workers die with the thread that started
// them). Everything else posts events. If the inbox is full, a worker that goes on talking waits, and of what etcd says
// the newest assignment, job and plan are kept; ends of workers and answers of the keeper are always taken, because
// their number is bounded by what this loop has started and asked.
#pragma once

#include "agent/core/agent.hpp"
#include "agent/journal.hpp"
#include "agent/record_writer.hpp"
#include "agent/snapshots/keeper.hpp"
#include "agent/watches.hpp"
#include "agent/workers.hpp"
#include "base/guarded.hpp"
#include "base/inbox.hpp"
#include "base/mutex.hpp"
#include "metrics/counters.hpp"

#include <memory>
#include <string>

namespace regroup::agent {

struct ShellOptions {
  NodeFacts facts;
  std::string directory;    // of this agent: journal, lock
  std::string word_before;  // as in NodeLeaseOptions
  std::string sockets;      // directory of unix sockets, or "tcp:HOST"
  std::string worker_program;
  bool peer_memory = true;  // see WorkersOptions
  std::chrono::milliseconds lease_ttl{3000};
  std::chrono::milliseconds tick{1000};  // at least; the core says when it is to be looked at sooner
  // The core is not told when a save ends, so while draining it is ticked this often.
  std::chrono::milliseconds drain_tick{50};
};

class AgentShell {
 public:
  // `keeper_listen`: its peer port. kUnavailable, kBadInput: it cannot listen.
  static Result<std::unique_ptr<AgentShell>> open(Store& store, ShellOptions options, const std::string& keeper_listen);
  ~AgentShell();

  int run();         // exit status: 0 drained, 1 refused
  void terminate();  // any thread: drain and go; the second time: go now
  // Any thread; made when asked for.
  [[nodiscard]] metrics::AgentCounters counters() const;
  [[nodiscard]] std::string status_json() const;
  [[nodiscard]] std::string trouble() const;  // why the node is not registered, as far as known

 private:
  AgentShell(Store& store, ShellOptions options);
  [[nodiscard]] bool registered() const REGROUP_REQUIRES(core_mutex_) { return records_ && records_->registered(); }
  void observe(const Event& event) REGROUP_REQUIRES(core_mutex_);
  void perform(const Action& action) REGROUP_REQUIRES(core_mutex_);
  void do_one(const FollowJob& action);
  void do_one(const WorkFor& action);
  void do_one(const StartWorker& action);
  void do_one(const KeepSpare& action);
  void do_one(const KillWorker& action);
  void do_one(const Tell& action);
  void do_one(const GrantArena& action);
  void do_one(const TakeSnapshot& action);
  void do_one(const CancelSaves& action);
  void do_one(const PutLeased& action) REGROUP_REQUIRES(core_mutex_);
  void do_one(const EraseLeased& action) REGROUP_REQUIRES(core_mutex_);
  void do_one(const PutLasting& action) REGROUP_REQUIRES(core_mutex_);
  void do_one(const Refused& action);
  void do_one(const Quit& action);

  Store& store_;
  ShellOptions options_;
  Keys keys_;
  mutable Mutex core_mutex_;  // held by run() for a batch of events, and by those who read the core for a page
  Agent core_ REGROUP_GUARDED_BY(core_mutex_);
  Guarded<metrics::AgentCounters> counters_;
  Inbox<Event> inbox_;
  Mutex refused_mutex_;
  std::string refused_ REGROUP_GUARDED_BY(refused_mutex_);  // another agent has our name; the inbox is closed then
  bool quit_ = false;
  Journal journal_;
  std::unique_ptr<SnapshotKeeper> keeper_;
  Workers workers_;
  // Clears memory for arenas, which takes long. Needs no limit: a worker asks at most once a plan.
  std::unique_ptr<WorkQueue> granting_;
  std::unique_ptr<RecordWriter> records_ REGROUP_GUARDED_BY(core_mutex_);  // once run() has begun
  std::unique_ptr<Watches> watches_;
};

}  // namespace regroup::agent
