// election.hpp: one leader among those who campaign under a prefix, as etcd's clientv3/concurrency does it, on any
// Store.
//
// Each candidate puts prefix/<its lease in hex>; the smallest create revision leads. That revision is the fencing
// token: a leader adds its fence to every transaction, and a deposed one's writes fail. A lost lease ends leadership
// and starts a new campaign under a new lease. Thread: the callbacks run on the election's own thread, may block and
// call the store. Logs leadership_gained and leadership_lost.
#pragma once

#include "store/store.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace regroup::coordinator {

struct ElectionOptions {
  std::string prefix;  // Keys::leader()
  std::string name;    // value of the key: who we are, for people
  std::chrono::milliseconds lease_ttl{2000};
};

class Election {
 public:
  // "Our key still has the create revision with which we lead."
  using OnGained = std::function<void(const Compare& fence)>;
  // `store` outlives the election. on_gained and on_lost alternate, on_gained first.
  Election(Store& store, ElectionOptions options, OnGained on_gained, std::function<void()> on_lost);
  ~Election();  // as resign()
  Election(const Election&) = delete;
  Election& operator=(const Election&) = delete;

  // Ends the campaign and the leadership (on_lost runs if we led), and frees the place at once by revoking the lease.
  // Not from a callback.
  void resign();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace regroup::coordinator
