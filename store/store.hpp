// store.hpp: the few things we ask of etcd. Implemented over gRPC (store/etcd) and in memory for tests; one test suite
// holds both to this contract.
//
// Thread: any; calls block up to their deadline, so event loops call them from a pool. Callbacks run on a thread of the
// store, one at a time a watch, and must not block or call the store. Errors: kUnavailable (nothing was done), kUnknown
// (a write may have happened: read back), kTimeout (reads), kConflict is never an error: see TxnResult.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace regroup {

struct KeyValue {
  std::string key;
  std::string value;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t version = 0;
  std::int64_t lease = 0;
};

struct Compare {
  enum class Target { kCreateRevision, kModRevision, kVersion, kValue };
  std::string key;
  Target target = Target::kModRevision;
  std::int64_t number = 0;  // equals; a key that does not exist has create and mod revision 0
  std::string value;        // for kValue
};

struct Op {
  enum class Kind { kPut, kDelete, kDeletePrefix, kGet };
  Kind kind = Kind::kPut;
  std::string key;
  std::string value;
  std::int64_t lease = 0;  // 0 = none
};

struct Listing {
  std::vector<KeyValue> keys;  // ascending
  std::int64_t revision = 0;   // of the store when read
};

struct TxnResult {
  bool succeeded = false;  // every compare held, `then` was done; else `otherwise` was
  std::int64_t revision = 0;
  std::vector<std::vector<KeyValue>> reads;  // one entry an op; empty for writes
};

struct WatchEvent {
  enum class Kind { kPut, kDelete };
  Kind kind = Kind::kPut;
  KeyValue kv;  // kDelete: key and mod_revision only
};

// What a watcher is told. After `reset` the events are the whole present content as puts (and deletes for keys known
// before that are gone), so a cache that applies events in order is right after every callback, whatever was cut,
// compacted or restarted meanwhile.
struct WatchUpdate {
  bool reset = false;
  bool connected = true;  // false: the stream is cut, this update holds no events
  std::int64_t revision = 0;
  std::vector<WatchEvent> events;
};

// Ends the watch (and waits for a callback under way) when destroyed.
class Watch {
 public:
  virtual ~Watch() = default;
};

// Keeps a lease alive from a thread of its own. Destroying it stops renewing but does not revoke.
class Lease {
 public:
  virtual ~Lease() = default;
  [[nodiscard]] virtual std::int64_t id() const = 0;
  [[nodiscard]] virtual std::chrono::milliseconds ttl() const = 0;  // as granted
  // Monotonic time until which the lease certainly holds (send time of the last acknowledged renewal + TTL).
  [[nodiscard]] virtual std::chrono::steady_clock::time_point certain_until() const = 0;
  [[nodiscard]] virtual bool lost() const = 0;  // the server said so, or certain_until passed; final
  virtual Result<void> revoke() = 0;            // its keys are gone when this returns
};

class Store {
 public:
  virtual ~Store() = default;
  virtual Result<Listing> list(const std::string& prefix) = 0;
  virtual Result<KeyValue> get(const std::string& key) = 0;  // kNotFound
  // revision
  virtual Result<std::int64_t> put(const std::string& key, const std::string& value, std::int64_t lease = 0) = 0;
  virtual Result<std::int64_t> erase(const std::string& key) = 0;  // revision; absent is fine
  virtual Result<TxnResult> txn(const std::vector<Compare>& when, const std::vector<Op>& then,
                                const std::vector<Op>& otherwise = {}) = 0;
  // `on_lost` runs once, on a store thread, when the lease is lost.
  virtual Result<std::unique_ptr<Lease>> grant(std::chrono::milliseconds ttl, std::function<void()> on_lost = {}) = 0;
  // First callback: reset = true with the present content. Retries for ever.
  virtual std::unique_ptr<Watch> watch(const std::string& prefix, std::function<void(const WatchUpdate&)> callback) = 0;
};

}  // namespace regroup
