// memory_server.hpp: what stands for etcd's server in a MemoryStore: its keys, leases and watches, and the one thread
// on which all callbacks run. Private to this folder.
//
// Everything but run() is called with `mutex` held. Handles share it, so that watches and leases may outlive the store.
#pragma once

#include "base/now.hpp"
#include "tests/etcd/memory_keys.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace regroup {

struct MemoryServer {
  struct WatchState {
    std::string prefix;
    std::function<void(const WatchUpdate&)> callback;
    std::set<std::string> known;   // keys told and not deleted; under the server's mutex
    std::recursive_mutex running;  // held by a callback; recursive so that a callback may end its own watch
    bool closed = false;           // under `running`
  };

  struct LeaseState {
    std::int64_t id = 0;
    std::chrono::milliseconds ttl{};
    bool held = true;              // its handle lives
    bool lost = false;             // final
    Instant renewed;               // as of when renewing stopped (handle gone or store unreachable)
    std::recursive_mutex running;  // as in WatchState
    bool closed = false;
    std::function<void()> on_lost;
  };

  // Calls what is queued and, on real time, ends the leases that are due, until `stopping`. The thread's body.
  void run();

  [[nodiscard]] bool renewing(const LeaseState& lease) const { return lease.held && reachable; }
  [[nodiscard]] Instant ends(const LeaseState& lease) const {
    return (renewing(lease) ? now() : lease.renewed) + lease.ttl;
  }

  // Queues what the watch is told: an update, or all there is now.
  void tell(const std::shared_ptr<WatchState>& watch, WatchUpdate update);
  void reset(const std::shared_ptr<WatchState>& watch);

  // Does the operations and tells the watches; what was read.
  std::vector<std::vector<KeyValue>> apply(const std::vector<Op>& ops);
  // kNotFound: an operation names a lease that is gone.
  [[nodiscard]] Result<void> check_leases(const std::vector<Op>& ops) const;
  void end_lease(const std::shared_ptr<LeaseState>& lease, bool revoked);
  void end_due_leases();
  void freeze_leases();  // they begin to run out

  std::function<Instant()> now;
  bool real_time = true;

  mutable std::mutex mutex;
  std::condition_variable wake;  // of run()
  bool stopping = false;
  bool reachable = true;
  std::int64_t next_lease = 0x1000;
  MemoryKeys keys;
  std::map<std::int64_t, std::shared_ptr<LeaseState>> leases;
  std::vector<std::shared_ptr<WatchState>> watches;
  std::uint64_t queued = 0;      // calls so far
  std::uint64_t done = 0;        // of them
  std::condition_variable idle;  // `done` has grown

 private:
  void call(std::function<void()> function);
  void publish(const std::vector<WatchEvent>& events);

  std::deque<std::function<void()>> calls_;
};

}  // namespace regroup
