#include "tests/etcd/memory_server.hpp"

#include <algorithm>
#include <utility>

namespace regroup {

void MemoryServer::call(std::function<void()> function) {
  calls_.push_back(std::move(function));
  ++queued;
  wake.notify_all();
}

void MemoryServer::tell(const std::shared_ptr<WatchState>& watch, WatchUpdate update) {
  call([watch, update = std::move(update)] {
    const std::lock_guard<std::recursive_mutex> running(watch->running);
    if (!watch->closed) watch->callback(update);
  });
}

void MemoryServer::reset(const std::shared_ptr<WatchState>& watch) {
  WatchUpdate update;
  update.reset = true;
  update.revision = keys.revision();
  std::set<std::string> present;
  for (KeyValue& kv : keys.under(watch->prefix)) {
    present.insert(kv.key);
    update.events.push_back({WatchEvent::Kind::kPut, std::move(kv)});
  }
  for (const std::string& key : watch->known) {
    if (present.contains(key)) continue;
    WatchEvent gone{WatchEvent::Kind::kDelete, {}};
    gone.kv.key = key;
    gone.kv.mod_revision = keys.revision();
    update.events.push_back(gone);
  }
  watch->known = std::move(present);
  tell(watch, std::move(update));
}

void MemoryServer::publish(const std::vector<WatchEvent>& events) {
  if (!reachable) return;  // told again as a whole when it comes back
  for (const auto& watch : watches) {
    WatchUpdate update;
    update.revision = keys.revision();
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

std::vector<std::vector<KeyValue>> MemoryServer::apply(const std::vector<Op>& ops) {
  MemoryKeys::Applied applied = keys.apply(ops);
  if (!applied.events.empty()) publish(applied.events);
  return std::move(applied.reads);
}

Result<void> MemoryServer::check_leases(const std::vector<Op>& ops) const {
  for (const Op& op : ops)
    if (op.kind == Op::Kind::kPut && op.lease != 0 && !leases.contains(op.lease))
      return Error{Code::kNotFound, "the lease " + std::to_string(op.lease) + " of " + op.key + " is gone"};
  return {};
}

void MemoryServer::end_lease(const std::shared_ptr<LeaseState>& lease, bool revoked) {
  leases.erase(lease->id);
  const bool first = !lease->lost;
  lease->lost = true;
  apply(keys.deletions_of(lease->id));
  if (!first || revoked || !lease->on_lost) return;
  call([lease] {
    const std::lock_guard<std::recursive_mutex> running(lease->running);
    if (!lease->closed) lease->on_lost();
  });
}

void MemoryServer::end_due_leases() {
  std::vector<std::shared_ptr<LeaseState>> due;
  const Instant at = now();
  for (const auto& [id, lease] : leases)
    if (ends(*lease) <= at) due.push_back(lease);
  for (const auto& lease : due) end_lease(lease, false);
}

void MemoryServer::freeze_leases() {
  for (const auto& [id, lease] : leases)
    if (renewing(*lease)) lease->renewed = now();
}

void MemoryServer::run() {
  std::unique_lock<std::mutex> lock(mutex);
  while (!stopping) {
    if (real_time) end_due_leases();
    if (!calls_.empty()) {
      const std::function<void()> function = std::move(calls_.front());
      calls_.pop_front();
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

}  // namespace regroup
