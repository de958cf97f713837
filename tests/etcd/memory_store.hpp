// memory_store.hpp: the store of store/store.hpp in this process, for tests and simulations: revisions, transactions,
// leases and watches as etcd has them.
//
// One MemoryStore is one cluster: everything that shares it sees the same keys. Thread: any. Callbacks run on the
// store's one thread. Time: real by default, then leases end by themselves. With `now` given, they end only inside
// tick(), so that a test owns the clock. A lease is renewed for as long as its handle lives and the store is reachable;
// TTLs are taken as asked, to the millisecond.
#pragma once

#include "store/store.hpp"

#include <thread>

namespace regroup {

struct MemoryServer;

class MemoryStore : public Store {
 public:
  struct Options {
    std::function<std::chrono::steady_clock::time_point()> now;  // must be callable from any thread
  };
  MemoryStore();
  explicit MemoryStore(Options options);
  ~MemoryStore() override;  // watches and leases may outlive it; they are told nothing more

  Result<Listing> list(const std::string& prefix) override;
  Result<KeyValue> get(const std::string& key) override;
  Result<std::int64_t> put(const std::string& key, const std::string& value, std::int64_t lease = 0) override;
  Result<std::int64_t> erase(const std::string& key) override;
  Result<TxnResult> txn(const std::vector<Compare>& when, const std::vector<Op>& then,
                        const std::vector<Op>& otherwise = {}) override;
  Result<std::unique_ptr<Lease>> grant(std::chrono::milliseconds ttl, std::function<void()> on_lost = {}) override;
  std::unique_ptr<Watch> watch(const std::string& prefix, std::function<void(const WatchUpdate&)> callback) override;

  // Ends the leases that are due. Needed only with a clock of one's own.
  void tick();
  // What a test does to it. Unreachable: calls fail with kUnavailable, watches are told, leases run out on the server's
  // side too.
  void set_reachable(bool reachable);
  // The server drops this lease now, as after an expiry.
  void expire(std::int64_t lease);
  // Waits until every callback queued so far has run. Not from a callback.
  void drain();

 private:
  std::shared_ptr<MemoryServer> server_;
  std::thread thread_;
};

}  // namespace regroup
