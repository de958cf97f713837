#include "tests/etcd/memory_store.hpp"

#include "base/now.hpp"
#include "store/txn_check.hpp"
#include "tests/etcd/memory_server.hpp"

#include <algorithm>
#include <thread>

namespace regroup {
namespace {

const Error kUnreachable{Code::kUnavailable, "the in-memory store is unreachable"};

class MemoryWatch : public Watch {
 public:
  MemoryWatch(std::shared_ptr<MemoryServer> server, std::shared_ptr<MemoryServer::WatchState> state)
      : server_(std::move(server)), state_(std::move(state)) {}
  ~MemoryWatch() override {
    {
      const std::lock_guard<std::mutex> lock(server_->mutex);
      std::erase(server_->watches, state_);
    }
    const std::lock_guard<std::recursive_mutex> running(state_->running);
    state_->closed = true;
  }

 private:
  std::shared_ptr<MemoryServer> server_;
  std::shared_ptr<MemoryServer::WatchState> state_;
};

class MemoryLease : public Lease {
 public:
  MemoryLease(std::shared_ptr<MemoryServer> server, std::shared_ptr<MemoryServer::LeaseState> state)
      : server_(std::move(server)), state_(std::move(state)) {}
  ~MemoryLease() override {
    {
      const std::lock_guard<std::mutex> lock(server_->mutex);
      if (server_->renewing(*state_)) state_->renewed = server_->now();
      state_->held = false;
      server_->wake.notify_all();
    }
    const std::lock_guard<std::recursive_mutex> running(state_->running);
    state_->closed = true;
  }
  [[nodiscard]] std::int64_t id() const override { return state_->id; }
  [[nodiscard]] std::chrono::milliseconds ttl() const override { return state_->ttl; }
  [[nodiscard]] Instant certain_until() const override {
    const std::lock_guard<std::mutex> lock(server_->mutex);
    return server_->ends(*state_);
  }
  [[nodiscard]] bool lost() const override {
    const std::lock_guard<std::mutex> lock(server_->mutex);
    return state_->lost || server_->ends(*state_) <= server_->now();
  }
  Result<void> revoke() override {
    const std::lock_guard<std::mutex> lock(server_->mutex);
    if (!server_->reachable) return kUnreachable;
    if (server_->leases.contains(state_->id)) server_->end_lease(state_, true);
    return {};
  }

 private:
  std::shared_ptr<MemoryServer> server_;
  std::shared_ptr<MemoryServer::LeaseState> state_;
};

}  // namespace

MemoryStore::MemoryStore() : MemoryStore(Options{}) {}

MemoryStore::MemoryStore(Options options) : server_(std::make_shared<MemoryServer>()) {
  server_->real_time = !options.now;
  server_->now = options.now ? std::move(options.now) : [] { return std::chrono::steady_clock::now(); };
  thread_ = std::thread([server = server_] { server->run(); });
}

MemoryStore::~MemoryStore() {
  {
    const std::lock_guard<std::mutex> lock(server_->mutex);
    server_->stopping = true;
    server_->wake.notify_all();
    server_->idle.notify_all();
  }
  thread_.join();
}

Result<Listing> MemoryStore::list(const std::string& prefix) {
  const std::lock_guard<std::mutex> lock(server_->mutex);
  if (!server_->reachable) return kUnreachable;
  Listing listing;
  listing.revision = server_->keys.revision();
  listing.keys = server_->keys.under(prefix);
  return listing;
}

Result<KeyValue> MemoryStore::get(const std::string& key) {
  const std::lock_guard<std::mutex> lock(server_->mutex);
  if (!server_->reachable) return kUnreachable;
  const KeyValue* kv = server_->keys.find(key);
  if (kv == nullptr) return Error{Code::kNotFound, "the store has no key " + key};
  return *kv;
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

Result<TxnResult> MemoryStore::txn(const std::vector<Compare>& when, const std::vector<Op>& then,
                                   const std::vector<Op>& otherwise) {
  const Result<void> good = check_txn(when, then, otherwise);
  if (!good) return good.error();
  const std::lock_guard<std::mutex> lock(server_->mutex);
  if (!server_->reachable) return kUnreachable;
  TxnResult result;
  result.succeeded =
      std::all_of(when.begin(), when.end(), [&](const Compare& compare) { return server_->keys.holds(compare); });
  const std::vector<Op>& ops = result.succeeded ? then : otherwise;
  const Result<void> leased = server_->check_leases(ops);
  if (!leased) return leased.error();
  result.reads = server_->apply(ops);
  result.revision = server_->keys.revision();
  return result;
}

Result<std::unique_ptr<Lease>> MemoryStore::grant(std::chrono::milliseconds ttl, std::function<void()> on_lost) {
  const std::lock_guard<std::mutex> lock(server_->mutex);
  if (!server_->reachable) return kUnreachable;
  auto state = std::make_shared<MemoryServer::LeaseState>();
  state->id = server_->next_lease++;
  state->ttl = ttl;
  state->renewed = server_->now();
  state->on_lost = std::move(on_lost);
  server_->leases.emplace(state->id, state);
  return std::unique_ptr<Lease>(std::make_unique<MemoryLease>(server_, state));
}

std::unique_ptr<Watch> MemoryStore::watch(const std::string& prefix, std::function<void(const WatchUpdate&)> callback) {
  auto state = std::make_shared<MemoryServer::WatchState>();
  state->prefix = prefix;
  state->callback = std::move(callback);
  const std::lock_guard<std::mutex> lock(server_->mutex);
  server_->watches.push_back(state);
  if (server_->reachable) server_->reset(state);
  return std::make_unique<MemoryWatch>(server_, state);
}

void MemoryStore::tick() {
  const std::lock_guard<std::mutex> lock(server_->mutex);
  server_->end_due_leases();
}

void MemoryStore::set_reachable(bool reachable) {
  const std::lock_guard<std::mutex> lock(server_->mutex);
  if (reachable == server_->reachable) return;
  server_->end_due_leases();
  if (!reachable) server_->freeze_leases();
  server_->reachable = reachable;
  for (const auto& watch : server_->watches) {
    if (reachable) {
      server_->reset(watch);
    } else {
      WatchUpdate cut;
      cut.connected = false;
      cut.revision = server_->keys.revision();
      server_->tell(watch, cut);
    }
  }
  server_->wake.notify_all();
}

void MemoryStore::expire(std::int64_t lease) {
  const std::lock_guard<std::mutex> lock(server_->mutex);
  const auto it = server_->leases.find(lease);
  if (it != server_->leases.end()) server_->end_lease(std::shared_ptr<MemoryServer::LeaseState>(it->second), false);
}

void MemoryStore::drain() {
  std::unique_lock<std::mutex> lock(server_->mutex);
  const std::uint64_t target = server_->queued;
  server_->idle.wait(lock, [&] { return server_->stopping || server_->done >= target; });
}

}  // namespace regroup
