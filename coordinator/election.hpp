// election.hpp: one leader among those who campaign under a prefix, as etcd's clientv3/concurrency does it, on any
// Store.
//
// Each candidate puts prefix/<its lease in hex>; the smallest create revision leads. That revision is the fencing
// token: a leader adds fence() to every transaction, and a deposed one's writes fail. A lost lease ends leadership and
// starts a new campaign under a new lease. Thread: the callbacks run on the election's own thread, may block and call
// the store. leader_revision() and fence(): any thread.
#pragma once

#include "store/store.hpp"

#include <optional>

namespace regroup::coordinator {

struct ElectionOptions {
  std::string prefix;  // Keys::leader()
  std::string name;    // value of the key: who we are, for people
  std::chrono::milliseconds lease_ttl{2000};
};

class Election {
 public:
  // `store` outlives the election. on_gained(leader_revision) and on_lost() alternate, on_gained first.
  Election(Store& store, ElectionOptions options, std::function<void(std::int64_t)> on_gained,
           std::function<void()> on_lost);
  ~Election();  // as resign()
  Election(const Election&) = delete;
  Election& operator=(const Election&) = delete;

  // Create revision of our key while we lead and the lease certainly holds.
  [[nodiscard]] std::optional<std::int64_t> leader_revision() const;
  // "Our key still has that create revision": put it into every write of a leader. Holds never when we do not lead.
  [[nodiscard]] Compare fence() const;
  // Name of whoever leads, as last seen; empty when nobody does.
  [[nodiscard]] std::string leader() const;
  // Ends the campaign and the leadership (on_lost runs if we led), and frees the place at once by revoking the lease.
  // Not from a callback.
  void resign();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace regroup::coordinator
