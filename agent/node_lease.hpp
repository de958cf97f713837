// node_lease.hpp: the lease under which this node stands in etcd, and its claim on the node's name.
//
// A node is present for as long as its lease is renewed; if the agent dies, etcd removes what was written under the
// lease. Two agents must not answer to one name, so the node's key is written only when nobody else holds it. A key
// that a dead agent left behind (its label "word" is the one that we found in our directory, whose lock we hold now) is
// taken over at once. Any other holder may be alive, also one of our host's name and directory, for clones share both:
// its lease is waited for, and if the key still stands after that, the node is refused.
//
// Threads: take() and id() on one thread, the rest on any. Errors: none is returned; what etcd refuses goes to the log
// and the next take() tries again. While etcd is away take() returns false, `lost` comes once the lease must have
// ended, and the first take() that reaches etcd again gets a new lease and claims the name anew.
#pragma once

#include "base/ids.hpp"
#include "base/mutex.hpp"
#include "store/store.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace regroup::agent {

struct NodeLeaseOptions {
  std::string node_key;
  std::uint64_t incarnation = 0;
  std::string word_before;  // in our directory's lock file, of the agent that ran there before; empty: none
  std::chrono::milliseconds ttl{3000};
};

struct NodeLeaseEvents {
  std::function<void(const std::string& reason)> refused;  // once, from take(): a live agent has this node's name
  std::function<void()> lost;                              // from take(): what was written under the lease is gone
};

class NodeLease {
 public:
  // `wake`: the lease was lost; take() is wanted. Comes on a thread of the store.
  NodeLease(Store& store, NodeLeaseOptions options, NodeLeaseEvents events, std::function<void()> wake);

  // Gets what is missing: a lease, then the node's key with `node_record` as its value. True: both are held. Without a
  // record there is nothing to claim the name with. Blocks for as long as three calls to etcd may.
  [[nodiscard]] bool take(const std::optional<std::string>& node_record);
  // Of the lease held, for what is written under it; 0: none. A new number means that everything must be written anew.
  [[nodiscard]] std::int64_t id() const;

  [[nodiscard]] bool lost() const { return lost_; }              // and not taken again yet
  [[nodiscard]] bool registered() const { return registered_; }  // lease and name are held, as far as we know
  // Why the last take() did not get both; empty: it did.
  [[nodiscard]] std::string trouble() const;
  // Gives both up: everything written under the lease goes at once. Blocks for as long as one call to etcd may.
  void leave();

 private:
  void drop_lost();
  bool have_lease();
  bool claim(const std::string& node_record);
  [[nodiscard]] bool left_by_us(const std::string& record) const;
  [[nodiscard]] std::shared_ptr<Lease> lease() const;
  void set_trouble(const std::string& text);

  Store& store_;
  const NodeLeaseOptions options_;
  const NodeLeaseEvents events_;
  const std::function<void()> wake_;
  std::atomic<bool> lost_{false}, registered_{false};
  // Of the thread that takes:
  bool claimed_ = false, refused_ = false;
  std::optional<std::chrono::steady_clock::time_point> conflict_since_;
  mutable Mutex mutex_;
  std::shared_ptr<Lease> lease_ REGROUP_GUARDED_BY(mutex_);
  bool left_ REGROUP_GUARDED_BY(mutex_) = false;
  std::string trouble_ REGROUP_GUARDED_BY(mutex_);
};

}  // namespace regroup::agent
