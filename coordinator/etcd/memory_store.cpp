#include "coordinator/etcd/memory_store.hpp"

#include "coordinator/etcd/txn_check.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace regroup {
namespace {

using Instant = std::chrono::steady_clock::time_point;

struct WatchState {
  std::string prefix;
  std::function<void(const WatchUpdate&)> callback;
  std::set<std::string> known;        // keys told and not deleted; under Impl::mutex
  std::recursive_mutex running;       // held by a callback; recursive so that a callback may end its own watch
  bool closed = false;                // under `running`
};

struct LeaseState {
  std::int64_t id = 0;
  std::chrono::milliseconds ttl{};
  bool held = true;                   // its handle lives
  bool lost = false;                  // final
  Instant renewed;                    // as of when renewing stopped (handle gone or store unreachable)
  std::recursive_mutex running;       // as in WatchState
  bool closed = false;
  std::function<void()> on_lost;
};

}  // namespace

struct MemoryStore::Impl : std::enable_shared_from_this<MemoryStore::Impl> {
  std::function<Instant()> now;
  bool real_time = true;

  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  bool reachable = true;
  std::int64_t revision = 1;          // as a fresh etcd
  std::int64_t next_lease = 0x1000;
  std::map<std::string, KeyValue> keys;
  std::map<std::int64_t, std::shared_ptr<LeaseState>> leases;
  std::vector<std::shared_ptr<WatchState>> watches;
  std::deque<std::function<void()>> calls;
  std::uint64_t queued = 0;
  std::uint64_t done = 0;
  std::condition_variable idle;
  std::thread thread;

  // All below: under mutex.
  bool renewing(const LeaseState& lease) const { return lease.held && reachable; }
  Instant ends(const LeaseState& lease) const { return (renewing(lease) ? now() : lease.renewed) + lease.ttl; }

  void call(std::function<void()> function) {
    calls.push_back(std::move(function));
    ++queued;
    wake.notify_all();
  }

  void tell(const std::shared_ptr<WatchState>& watch, WatchUpdate update) {
    call([watch, update = std::move(update)] {
      const std::lock_guard<std::recursive_mutex> running(watch->running);
      if (!watch->closed) watch->callback(update);
    });
  }

  void reset(const std::shared_ptr<WatchState>& watch) {
    WatchUpdate update;
    update.reset = true;
    update.revision = revision;
    std::set<std::string> present;
    for (auto it = keys.lower_bound(watch->prefix); it != keys.end() && it->first.starts_with(watch->prefix); ++it) {
      present.insert(it->first);
      update.events.push_back({WatchEvent::Kind::kPut, it->second});
    }
    for (const std::string& key : watch->known) {
      if (present.contains(key)) continue;
      WatchEvent gone{WatchEvent::Kind::kDelete, {}};
      gone.kv.key = key;
      gone.kv.mod_revision = revision;
      update.events.push_back(gone);
    }
    watch->known = std::move(present);
    tell(watch, std::move(update));
  }

  void publish(const std::vector<WatchEvent>& events) {
    if (!reachable) return;  // told again as a whole when it comes back
    for (const auto& watch : watches) {
      WatchUpdate update;
      update.revision = revision;
      for (const WatchEvent& event : events) {
        if (!event.kv.key.starts_with(watch->prefix)) continue;
        update.events.push_back(event);
        if (event.kind == WatchEvent::Kind::kPut) {
          watch->known.insert(event.kv.key);
        } else {
          watch->known.erase(event.kv.key);
        }
      }
      if (!update.events.empty()) tell(watch, std::move(update));
    }
  }

  bool holds(const Compare& compare) const {
    const auto it = keys.find(compare.key);
    const bool exists = it != keys.end();
    switch (compare.target) {
      case Compare::Target::kCreateRevision: return (exists ? it->second.create_revision : 0) == compare.number;
      case Compare::Target::kModRevision: return (exists ? it->second.mod_revision : 0) == compare.number;
      case Compare::Target::kVersion: return (exists ? it->second.version : 0) == compare.number;
      case Compare::Target::kValue: return exists && it->second.value == compare.value;
    }
    return false;
  }

  // Does the operations at revision + 1 (if any changes anything).
  std::vector<std::vector<KeyValue>> apply(const std::vector<Op>& ops) {
    const std::int64_t next = revision + 1;
    std::vector<WatchEvent> events;
    std::vector<std::vector<KeyValue>> reads(ops.size());
    const auto remove = [&](std::map<std::string, KeyValue>::iterator it) {
      WatchEvent event{WatchEvent::Kind::kDelete, {}};
      event.kv.key = it->first;
      event.kv.mod_revision = next;
      events.push_back(event);
      return keys.erase(it);
    };
    for (std::size_t i = 0; i < ops.size(); ++i) {
      const Op& op = ops[i];
      const auto it = keys.find(op.key);
      if (op.kind == Op::Kind::kGet) {
        if (it != keys.end()) reads[i].push_back(it->second);
      } else if (op.kind == Op::Kind::kDelete) {
        if (it != keys.end()) remove(it);
      } else if (op.kind == Op::Kind::kDeletePrefix) {
        for (auto at = keys.lower_bound(op.key); at != keys.end() && at->first.starts_with(op.key);) at = remove(at);
      } else {
        KeyValue& kv = keys[op.key];
        if (it == keys.end()) kv.create_revision = next;
        kv.key = op.key;
        kv.value = op.value;
        kv.mod_revision = next;
        ++kv.version;
        kv.lease = op.lease;
        events.push_back({WatchEvent::Kind::kPut, kv});
      }
    }
    if (!events.empty()) {
      revision = next;
      publish(events);
    }
    return reads;
  }

  Result<void> check_leases(const std::vector<Op>& ops) const {
    for (const Op& op : ops)
      if (op.kind == Op::Kind::kPut && op.lease != 0 && !leases.contains(op.lease))
        return Error{Code::kNotFound, "the lease " + std::to_string(op.lease) + " of " + op.key + " is gone"};
    return {};
  }

  void end_lease(const std::shared_ptr<LeaseState>& lease, bool revoked) {
    leases.erase(lease->id);
    const bool first = !lease->lost;
    lease->lost = true;
    std::vector<Op> ops;
    for (const auto& [key, kv] : keys)
      if (kv.lease == lease->id) ops.push_back({Op::Kind::kDelete, key, "", 0});
    apply(ops);
    if (!first || revoked || !lease->on_lost) return;
    call([lease] {
      const std::lock_guard<std::recursive_mutex> running(lease->running);
      if (!lease->closed) lease->on_lost();
    });
  }

  void end_due_leases() {
    std::vector<std::shared_ptr<LeaseState>> due;
    const Instant at = now();
    for (const auto& [id, lease] : leases)
      if (ends(*lease) <= at) due.push_back(lease);
    for (const auto& lease : due) end_lease(lease, false);
  }

  void freeze_leases() {
    for (const auto& [id, lease] : leases)
      if (renewing(*lease)) lease->renewed = now();
  }

  void run() {
    std::unique_lock<std::mutex> lock(mutex);
    while (!stopping) {
      if (real_time) end_due_leases();
      if (!calls.empty()) {
        const std::function<void()> function = std::move(calls.front());
        calls.pop_front();
        lock.unlock();
        function();
        lock.lock();
        ++done;
        idle.notify_all();
        continue;
      }
      Instant next = Instant::max();
      for (const auto& [id, lease] : leases)
        if (real_time && !renewing(*lease)) next = std::min(next, ends(*lease));
      if (next == Instant::max()) {
        wake.wait(lock);
      } else {
        wake.wait_until(lock, next);
      }
    }
  }
};

namespace {

const Error kUnreachable{Code::kUnavailable, "the in-memory store is unreachable"};

class MemoryWatch : public Watch {
 public:
  MemoryWatch(std::shared_ptr<MemoryStore::Impl> impl, std::shared_ptr<WatchState> state) : impl_(std::move(impl)), state_(std::move(state)) {}
  ~MemoryWatch() override {
    {
      const std::lock_guard<std::mutex> lock(impl_->mutex);
      std::erase(impl_->watches, state_);
    }
    const std::lock_guard<std::recursive_mutex> running(state_->running);
    state_->closed = true;
  }

 private:
  std::shared_ptr<MemoryStore::Impl> impl_;
  std::shared_ptr<WatchState> state_;
};

class MemoryLease : public Lease {
 public:
  MemoryLease(std::shared_ptr<MemoryStore::Impl> impl, std::shared_ptr<LeaseState> state) : impl_(std::move(impl)), state_(std::move(state)) {}
  ~MemoryLease() override {
    {
      const std::lock_guard<std::mutex> lock(impl_->mutex);
      if (impl_->renewing(*state_)) state_->renewed = impl_->now();
      state_->held = false;
      impl_->wake.notify_all();
    }
    const std::lock_guard<std::recursive_mutex> running(state_->running);
    state_->closed = true;
  }
  [[nodiscard]] std::int64_t id() const override { return state_->id; }
  [[nodiscard]] std::chrono::milliseconds ttl() const override { return state_->ttl; }
  [[nodiscard]] Instant certain_until() const override {
    const std::lock_guard<std::mutex> lock(impl_->mutex);
    return impl_->ends(*state_);
  }
  [[nodiscard]] bool lost() const override {
    const std::lock_guard<std::mutex> lock(impl_->mutex);
    return state_->lost || impl_->ends(*state_) <= impl_->now();
  }
  Result<void> revoke() override {
    const std::lock_guard<std::mutex> lock(impl_->mutex);
    if (!impl_->reachable) return kUnreachable;
    if (impl_->leases.contains(state_->id)) impl_->end_lease(state_, true);
    return {};
  }

 private:
  std::shared_ptr<MemoryStore::Impl> impl_;
  std::shared_ptr<LeaseState> state_;
};

}  // namespace

MemoryStore::MemoryStore() : MemoryStore(Options{}) {}

MemoryStore::MemoryStore(Options options) : impl_(std::make_shared<Impl>()) {
  impl_->real_time = !options.now;
  impl_->now = options.now ? std::move(options.now) : [] { return std::chrono::steady_clock::now(); };
  impl_->thread = std::thread([impl = impl_] { impl->run(); });
}

MemoryStore::~MemoryStore() {
  {
    const std::lock_guard<std::mutex> lock(impl_->mutex);
    impl_->stopping = true;
    impl_->wake.notify_all();
    impl_->idle.notify_all();
  }
  impl_->thread.join();
}

Result<Listing> MemoryStore::list(const std::string& prefix) {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  if (!impl_->reachable) return kUnreachable;
  Listing listing;
  listing.revision = impl_->revision;
  for (auto it = impl_->keys.lower_bound(prefix); it != impl_->keys.end() && it->first.starts_with(prefix); ++it) listing.keys.push_back(it->second);
  return listing;
}

Result<KeyValue> MemoryStore::get(const std::string& key) {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  if (!impl_->reachable) return kUnreachable;
  const auto it = impl_->keys.find(key);
  if (it == impl_->keys.end()) return Error{Code::kNotFound, "the store has no key " + key};
  return it->second;
}

Result<std::int64_t> MemoryStore::put(const std::string& key, const std::string& value, std::int64_t lease) {
  const Result<TxnResult> done = txn({}, {{Op::Kind::kPut, key, value, lease}});
  if (!done) return done.error();
  return done->revision;
}

Result<std::int64_t> MemoryStore::erase(const std::string& key) {
  const Result<TxnResult> done = txn({}, {{Op::Kind::kDelete, key, "", 0}});
  if (!done) return done.error();
  return done->revision;
}

Result<TxnResult> MemoryStore::txn(const std::vector<Compare>& when, const std::vector<Op>& then, const std::vector<Op>& otherwise) {
  const Result<void> good = check_txn(when, then, otherwise);
  if (!good) return good.error();
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  if (!impl_->reachable) return kUnreachable;
  TxnResult result;
  result.succeeded = std::all_of(when.begin(), when.end(), [&](const Compare& compare) { return impl_->holds(compare); });
  const std::vector<Op>& ops = result.succeeded ? then : otherwise;
  const Result<void> leased = impl_->check_leases(ops);
  if (!leased) return leased.error();
  result.reads = impl_->apply(ops);
  result.revision = impl_->revision;
  return result;
}

Result<std::unique_ptr<Lease>> MemoryStore::grant(std::chrono::milliseconds ttl, std::function<void()> on_lost) {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  if (!impl_->reachable) return kUnreachable;
  auto state = std::make_shared<LeaseState>();
  state->id = impl_->next_lease++;
  state->ttl = ttl;
  state->renewed = impl_->now();
  state->on_lost = std::move(on_lost);
  impl_->leases.emplace(state->id, state);
  return std::unique_ptr<Lease>(std::make_unique<MemoryLease>(impl_, state));
}

std::unique_ptr<Watch> MemoryStore::watch(const std::string& prefix, std::function<void(const WatchUpdate&)> callback) {
  auto state = std::make_shared<WatchState>();
  state->prefix = prefix;
  state->callback = std::move(callback);
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->watches.push_back(state);
  if (impl_->reachable) impl_->reset(state);
  return std::make_unique<MemoryWatch>(impl_, state);
}

void MemoryStore::tick() {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  impl_->end_due_leases();
}

void MemoryStore::set_reachable(bool reachable) {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  if (reachable == impl_->reachable) return;
  impl_->end_due_leases();
  if (!reachable) impl_->freeze_leases();
  impl_->reachable = reachable;
  for (const auto& watch : impl_->watches) {
    if (reachable) {
      impl_->reset(watch);
    } else {
      WatchUpdate cut;
      cut.connected = false;
      cut.revision = impl_->revision;
      impl_->tell(watch, cut);
    }
  }
  impl_->wake.notify_all();
}

void MemoryStore::expire(std::int64_t lease) {
  const std::lock_guard<std::mutex> lock(impl_->mutex);
  const auto it = impl_->leases.find(lease);
  if (it != impl_->leases.end()) impl_->end_lease(std::shared_ptr<LeaseState>(it->second), false);
}

void MemoryStore::drain() {
  std::unique_lock<std::mutex> lock(impl_->mutex);
  const std::uint64_t target = impl_->queued;
  impl_->idle.wait(lock, [&] { return impl_->stopping || impl_->done >= target; });
}

}  // namespace regroup
