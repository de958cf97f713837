#include "store/etcd/lease_keeper.hpp"

#include "base/log.hpp"
#include "base/mutex.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

namespace regroup {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Instant = steady_clock::time_point;

constexpr milliseconds kPause{50};  // between two streams

struct Kept {
  std::int64_t id = 0;
  milliseconds ttl{};
  // Under Impl::mutex.
  Instant certain_until;
  Instant next_send;
  Instant sent = Instant::max();  // of the renewal that waits for its answer; max = none waits
  bool ended = false;             // lost, revoked or let go
  bool lost = false;

  std::recursive_mutex running;  // held by on_lost; recursive so that it may let its own lease go
  bool closed = false;
  std::function<void()> on_lost;

  Instant lose_at() const { return certain_until - ttl / 10; }
};

}  // namespace

struct LeaseKeeper::Impl {
  std::shared_ptr<EtcdRpc> rpc;
  milliseconds timeout{};

  Mutex mutex;
  Condition wake_writer;
  Condition wake_clock;
  bool stopping REGROUP_GUARDED_BY(mutex) = false;
  bool stream_broken REGROUP_GUARDED_BY(mutex) = false;
  KeepAliveStream* stream REGROUP_GUARDED_BY(mutex) = nullptr;
  std::map<std::int64_t, std::shared_ptr<Kept>> leases REGROUP_GUARDED_BY(mutex);
  std::vector<std::shared_ptr<Kept>> to_tell REGROUP_GUARDED_BY(mutex);  // lost, on_lost not yet run
  std::thread writer;
  std::thread clock;

  void lose(const std::shared_ptr<Kept>& lease, const char* why) REGROUP_REQUIRES(mutex) {
    leases.erase(lease->id);
    lease->ended = lease->lost = true;
    to_tell.push_back(lease);
    wake_clock.notify_all();
    log::warn("etcd_lease_lost", {{"lease", lease->id}, {"why", why}});
  }

  void run_clock() {
    Lock lock(mutex);
    while (!stopping) {
      const Instant now = steady_clock::now();
      Instant next = Instant::max();
      std::vector<std::shared_ptr<Kept>> due;
      for (const auto& [id, lease] : leases) {
        if (lease->lose_at() <= now)
          due.push_back(lease);
        else
          next = std::min(next, lease->lose_at());
      }
      for (const auto& lease : due) lose(lease, "no renewal was acknowledged in time");
      if (!to_tell.empty()) {
        const auto lost = std::move(to_tell);
        to_tell.clear();
        lock.unlock();
        for (const auto& lease : lost) {
          const std::lock_guard<std::recursive_mutex> running(lease->running);
          if (!lease->closed && lease->on_lost) lease->on_lost();
        }
        lock.lock();
        continue;
      }
      if (next == Instant::max()) {
        wake_clock.wait(lock);
      } else {
        wake_clock.wait_until(lock, next);
      }
    }
  }

  void run_reader(KeepAliveStream& from) {
    KeepAliveReply reply;
    while (from.read(reply)) {
      const LockGuard lock(mutex);
      const auto it = leases.find(reply.id);
      if (it == leases.end()) continue;
      const std::shared_ptr<Kept> lease = it->second;
      if (reply.ttl.count() <= 0) {
        lose(lease, "the server does not know it any more");
      } else if (lease->sent != Instant::max()) {
        lease->certain_until = lease->sent + reply.ttl;
        lease->next_send = lease->sent + lease->ttl / 3;
        lease->sent = Instant::max();
        wake_writer.notify_all();
      }
    }
    const LockGuard lock(mutex);
    stream_broken = true;
    wake_writer.notify_all();
  }

  // Sends renewals until the stream breaks, an answer is overdue, or the end. True when the endpoint is to blame.
  bool feed(KeepAliveStream& to) {
    Lock lock(mutex);
    while (!stopping && !stream_broken) {
      const Instant now = steady_clock::now();
      Instant next = Instant::max();
      std::shared_ptr<Kept> due;
      for (const auto& [id, lease] : leases) {
        const bool waits = lease->sent != Instant::max();
        const Instant at = waits ? lease->sent + lease->ttl / 3 : lease->next_send;
        if (at <= now && waits) return true;
        if (at <= now) due = lease;
        next = std::min(next, at);
      }
      if (due) {
        due->sent = now;
        lock.unlock();
        const bool written = to.write(due->id);
        lock.lock();
        if (!written) return true;
        continue;
      }
      if (next == Instant::max()) {
        wake_writer.wait(lock);
      } else {
        wake_writer.wait_until(lock, next);
      }
    }
    return stream_broken;
  }

  void run_writer() {
    Lock lock(mutex);
    while (!stopping) {
      if (leases.empty()) {
        wake_writer.wait(lock);
        continue;
      }
      lock.unlock();
      const Result<int> endpoint = rpc->connected(steady_clock::now() + kPause);
      std::unique_ptr<KeepAliveStream> fresh;
      if (endpoint) fresh = rpc->keep_alive_stream(*endpoint);
      lock.lock();
      if (!fresh || stopping) continue;
      stream = fresh.get();
      stream_broken = false;
      for (const auto& [id, lease] : leases) {  // what an older stream did not answer is asked again
        if (lease->sent == Instant::max()) continue;
        lease->sent = Instant::max();
        lease->next_send = steady_clock::now();
      }
      lock.unlock();
      bool blame = true;
      if (fresh->start()) {
        std::thread reader([&] { run_reader(*fresh); });
        blame = feed(*fresh);
        fresh->cancel();
        reader.join();
      }
      if (blame) {
        log::info("etcd_lease_stream_replaced", {{"endpoint", rpc->name(*endpoint)}});
        rpc->failed(*endpoint);
      }
      lock.lock();
      stream = nullptr;
      if (!stopping) wake_writer.wait_for(lock, kPause, [&]() REGROUP_REQUIRES(mutex) { return stopping; });
    }
  }
};

namespace {

class EtcdLease : public Lease {
 public:
  EtcdLease(std::shared_ptr<LeaseKeeper::Impl> keeper, std::shared_ptr<Kept> kept)
      : keeper_(std::move(keeper)), kept_(std::move(kept)) {}
  ~EtcdLease() override {
    end();
    const std::lock_guard<std::recursive_mutex> running(kept_->running);
    kept_->closed = true;
  }
  [[nodiscard]] std::int64_t id() const override { return kept_->id; }
  [[nodiscard]] milliseconds ttl() const override { return kept_->ttl; }
  [[nodiscard]] Instant certain_until() const override {
    const LockGuard lock(keeper_->mutex);
    return kept_->certain_until;
  }
  [[nodiscard]] bool lost() const override {
    const LockGuard lock(keeper_->mutex);
    if (!kept_->lost && steady_clock::now() >= kept_->lose_at()) {
      kept_->lost = true;  // final, even if a late answer is on its way
      if (!kept_->ended) keeper_->lose(kept_, "no renewal was acknowledged in time");
    }
    return kept_->lost;
  }
  Result<void> revoke() override {
    end();
    const Deadline deadline = steady_clock::now() + keeper_->timeout;
    EtcdRpc& rpc = *keeper_->rpc;
    const Result<void> done = read_somewhere(
        rpc, deadline, [&](int endpoint, Deadline until) { return rpc.revoke(endpoint, kept_->id, until); });
    if (!done && done.error().code != Code::kNotFound) return done.error();
    const LockGuard lock(keeper_->mutex);
    kept_->lost = true;
    return {};
  }

 private:
  void end() {
    const LockGuard lock(keeper_->mutex);
    kept_->ended = true;
    keeper_->leases.erase(kept_->id);
    std::erase(keeper_->to_tell, kept_);
  }

  std::shared_ptr<LeaseKeeper::Impl> keeper_;
  std::shared_ptr<Kept> kept_;
};

}  // namespace

LeaseKeeper::LeaseKeeper(std::shared_ptr<EtcdRpc> rpc, milliseconds timeout) : impl_(std::make_shared<Impl>()) {
  impl_->rpc = std::move(rpc);
  impl_->timeout = timeout;
  impl_->writer = std::thread([impl = impl_] { impl->run_writer(); });
  impl_->clock = std::thread([impl = impl_] { impl->run_clock(); });
}

LeaseKeeper::~LeaseKeeper() {
  {
    const LockGuard lock(impl_->mutex);
    impl_->stopping = true;
    if (impl_->stream != nullptr) impl_->stream->cancel();
    impl_->wake_writer.notify_all();
    impl_->wake_clock.notify_all();
  }
  impl_->writer.join();
  impl_->clock.join();
}

Result<std::unique_ptr<Lease>> LeaseKeeper::grant(milliseconds ttl, std::function<void()> on_lost) {
  const auto seconds = std::max(std::chrono::ceil<std::chrono::seconds>(ttl), std::chrono::seconds(1));
  const Deadline deadline = steady_clock::now() + impl_->timeout;
  Instant sent;
  const Result<LeaseGranted> granted = read_somewhere(*impl_->rpc, deadline, [&](int endpoint, Deadline until) {
    sent = steady_clock::now();
    return impl_->rpc->grant(endpoint, seconds, until);
  });
  if (!granted) return granted.error();
  auto lease = std::make_shared<Kept>();
  lease->id = granted->id;
  lease->ttl = granted->ttl;
  lease->certain_until = sent + granted->ttl;
  lease->next_send = sent + granted->ttl / 3;
  lease->on_lost = std::move(on_lost);
  const LockGuard lock(impl_->mutex);
  impl_->leases.emplace(lease->id, lease);
  impl_->wake_writer.notify_all();
  impl_->wake_clock.notify_all();
  return std::unique_ptr<Lease>(std::make_unique<EtcdLease>(impl_, lease));
}

}  // namespace regroup
