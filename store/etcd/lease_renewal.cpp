#include "store/etcd/lease_renewal.hpp"

#include "base/log.hpp"
#include "base/now.hpp"

#include <algorithm>

namespace regroup {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPause{50};  // between two streams

}  // namespace

void LeaseRenewal::lose(const std::shared_ptr<KeptLease>& lease, const char* why) {
  leases.erase(lease->id);
  lease->ended = lease->lost = true;
  to_tell.push_back(lease);
  wake_clock.notify_all();
  log::warn("etcd_lease_lost", {{"lease", lease->id}, {"why", why}});
}

void LeaseRenewal::run_clock() {
  Lock lock(mutex);
  while (!stopping) {
    const Instant now = Clock::now();
    Instant next = Instant::max();
    std::vector<std::shared_ptr<KeptLease>> due;
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

void LeaseRenewal::run_reader(KeepAliveStream& from) {
  KeepAliveReply reply;
  while (from.read(reply)) {
    const LockGuard lock(mutex);
    const auto it = leases.find(reply.id);
    if (it == leases.end()) continue;
    const std::shared_ptr<KeptLease> lease = it->second;
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

bool LeaseRenewal::feed(KeepAliveStream& to) {
  Lock lock(mutex);
  while (!stopping && !stream_broken) {
    const Instant now = Clock::now();
    Instant next = Instant::max();
    std::shared_ptr<KeptLease> due;
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

void LeaseRenewal::run_writer() {
  Lock lock(mutex);
  while (!stopping) {
    if (leases.empty()) {
      wake_writer.wait(lock);
      continue;
    }
    lock.unlock();
    const Result<int> endpoint = rpc->connected(Clock::now() + kPause);
    std::unique_ptr<KeepAliveStream> fresh;
    if (endpoint) fresh = rpc->keep_alive_stream(*endpoint);
    lock.lock();
    if (!fresh || stopping) continue;
    stream = fresh.get();
    stream_broken = false;
    for (const auto& [id, lease] : leases) {  // what an older stream did not answer is asked again
      if (lease->sent == Instant::max()) continue;
      lease->sent = Instant::max();
      lease->next_send = Clock::now();
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
      log::info_often("etcd_lease_stream_replaced", {{"endpoint", rpc->name(*endpoint)}});
      rpc->failed(*endpoint);
    }
    lock.lock();
    stream = nullptr;
    if (!stopping) wake_writer.wait_for(lock, kPause, [&]() REGROUP_REQUIRES(mutex) { return stopping; });
  }
}

}  // namespace regroup
