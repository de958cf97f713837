// shell.hpp: the coordinator's core among real things: etcd's watch, election and transactions, the clock, and the
// checkpoint directory. Holds no policy.
//
// Threads. run() is the core's only thread. Watch and election post events to it. A writer performs transactions in the
// order of the actions, and a scanner reads directories, so that the core never waits for either. A pulse reads a key
// from etcd three times in Timing::contact_gap: a watch that is silent means that nothing changes, or that etcd does
// not answer, and only in the first case is an absent node really absent. The next pulse waits until the last one was
// answered.
//
// If the inbox is full, updates of the watch are united (of each key the newest event). All else is always taken: what
// the election says is rare, and writes, scans and signs of life are answers to what this loop has asked for.
#pragma once

#include "base/guarded.hpp"
#include "base/inbox.hpp"
#include "base/mutex.hpp"
#include "base/trouble.hpp"
#include "base/work_queue.hpp"
#include "coordinator/core/coordinator.hpp"
#include "coordinator/election.hpp"
#include "metrics/counters.hpp"
#include "store/store.hpp"

#include <atomic>
#include <string>

namespace regroup::coordinator {

struct CoordinatorOptions {
  std::string cluster = "default";
  std::string id;
  std::chrono::milliseconds leader_ttl{2000};
  std::chrono::milliseconds tick{50};
  Timing timing;
};

class CoordinatorShell {
 public:
  CoordinatorShell(Store& store, CoordinatorOptions options);
  void run();   // until stop()
  void stop();  // any thread; resigns
  // Any thread.
  [[nodiscard]] metrics::CoordinatorCounters counters() const;
  [[nodiscard]] std::string status_json() const;
  // Why the last pulse found no etcd, in its own words; empty: it did.
  [[nodiscard]] std::string trouble() const { return trouble_.copy(); }

 private:
  void perform(const Action& action);
  void transact(const Write& write);  // on the writer's thread, and so is read_back
  WriteFinished read_back(const Write& write);
  void scan(const ScanCheckpoints& request);          // on the scanner's thread
  void tell_contact() REGROUP_REQUIRES(core_mutex_);  // when it changed
  void log_trouble(const std::string& trouble);       // on the pulse's thread

  Store& store_;
  CoordinatorOptions options_;
  mutable Mutex core_mutex_;  // held by run() for a batch of events, and by those who read the core for a page
  Coordinator core_ REGROUP_GUARDED_BY(core_mutex_);
  Guarded<metrics::CoordinatorCounters> counters_;
  Inbox<Event> inbox_;                                     // closed: stopped
  bool connected_ REGROUP_GUARDED_BY(core_mutex_) = true;  // as last logged
  Guarded<std::string> trouble_;
  Trouble told_trouble_;  // the pulse's thread
  std::atomic<bool> leads_{false}, pulse_under_way_{false};
  // Need no limit: the core has one write of a key and one scan of a job under way, and one pulse is.
  WorkQueue writer_, scanner_, pulse_;
};

}  // namespace regroup::coordinator
