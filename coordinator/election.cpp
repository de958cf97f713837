#include "coordinator/election.hpp"

#include "base/hex.hpp"
#include "base/log.hpp"
#include "base/mutex.hpp"

#include <map>
#include <thread>

namespace regroup::coordinator {
namespace {

constexpr std::chrono::milliseconds kPause{100};  // between two attempts to get a lease and a key

}  // namespace

struct Election::Impl {
  Store& store;
  const ElectionOptions options;
  const OnGained on_gained;
  const std::function<void()> on_lost;

  Mutex mutex;
  Condition wake;
  bool stopping REGROUP_GUARDED_BY(mutex) = false;
  bool lease_lost REGROUP_GUARDED_BY(mutex) = false;
  bool changed REGROUP_GUARDED_BY(mutex) = false;                        // `candidates`
  std::map<std::string, KeyValue> candidates REGROUP_GUARDED_BY(mutex);  // by key, as the watch tells
  std::thread thread;
  // Its own:
  std::shared_ptr<Lease> lease;
  std::string key;            // ours; empty = no campaign
  std::int64_t revision = 0;  // create revision of it
  bool leading = false;

  Impl(Store& s, ElectionOptions o, OnGained gained, std::function<void()> lost)
      : store(s), options(std::move(o)), on_gained(std::move(gained)), on_lost(std::move(lost)) {}

  void apply(const WatchUpdate& update) {
    const LockGuard lock(mutex);
    if (update.reset) candidates.clear();
    for (const WatchEvent& event : update.events) {
      if (event.kind == WatchEvent::Kind::kPut) {
        candidates[event.kv.key] = event.kv;
      } else {
        candidates.erase(event.kv.key);
      }
    }
    changed = true;
    wake.notify_all();
  }

  // The candidate with the smallest create revision.
  const KeyValue* first() const REGROUP_REQUIRES(mutex) {
    const KeyValue* least = nullptr;
    for (const auto& [name, kv] : candidates)
      if (least == nullptr || kv.create_revision < least->create_revision) least = &kv;
    return least;
  }

  // A lease, and a key of our own under it.
  bool enter() {
    {
      const LockGuard lock(mutex);
      lease_lost = false;
    }
    auto granted = store.grant(options.lease_ttl, [this] {
      const LockGuard lock(mutex);
      lease_lost = true;
      wake.notify_all();
    });
    if (!granted) {
      log::debug("election_no_lease", {{"error", to_string(granted.error())}});
      return false;
    }
    const std::string mine = options.prefix + "/" + to_hex_unpadded(static_cast<std::uint64_t>((*granted)->id()));
    const auto done =
        store.txn({{mine, Compare::Target::kCreateRevision, 0, ""}},
                  {{Op::Kind::kPut, mine, options.name, (*granted)->id()}}, {{Op::Kind::kGet, mine, "", 0}});
    std::int64_t created = 0;
    if (done && done->succeeded) {
      created = done->revision;
    } else if (done && !done->reads.empty() && !done->reads.front().empty()) {
      created = done->reads.front().front().create_revision;
    } else if (!done && done.error().code == Code::kUnknown) {
      const auto read = store.get(mine);
      if (read) created = read->create_revision;
    }
    if (created == 0) {  // should the key have been written after all, it vanishes with the lease
      (void)(*granted)->revoke();
      return false;
    }
    lease = std::move(*granted);
    key = mine;
    revision = created;
    const LockGuard lock(mutex);
    changed = true;
    return true;
  }

  // Waits until we lead, or until the campaign is over. Then, until leadership ends.
  void campaign() {
    Lock lock(mutex);
    std::int64_t seen = 0;  // our key was in the watch's view
    for (;;) {
      wake.wait(lock, [&]() REGROUP_REQUIRES(mutex) { return stopping || lease_lost || changed; });
      if (stopping || lease_lost) return;
      changed = false;
      const auto ours = candidates.find(key);
      const bool there = ours != candidates.end() && ours->second.create_revision == revision;
      if (there) seen = revision;
      if (!there && seen != 0) return;  // somebody removed it
      if (leading || !there || first()->key != key || lease->lost()) continue;
      leading = true;
      lock.unlock();
      log::info("leadership_gained", {{"revision", revision}, {"name", options.name}});
      on_gained({key, Compare::Target::kCreateRevision, revision, ""});
      lock.lock();
    }
  }

  void leave() {
    if (leading) {
      log::info("leadership_lost", {{"revision", revision}, {"name", options.name}});
      on_lost();
    }
    leading = false;
    key.clear();
    (void)lease->revoke();
    lease = nullptr;
  }

  void run() {
    const std::unique_ptr<Watch> watch = store.watch(options.prefix + "/", [this](const WatchUpdate& update) {
      if (update.connected) apply(update);
    });
    for (;;) {
      if (enter()) {
        campaign();
        leave();
      }
      Lock lock(mutex);
      if (wake.wait_for(lock, kPause, [&]() REGROUP_REQUIRES(mutex) { return stopping; })) return;
    }
  }
};

Election::Election(Store& store, ElectionOptions options, OnGained on_gained, std::function<void()> on_lost)
    : impl_(std::make_unique<Impl>(store, std::move(options), std::move(on_gained), std::move(on_lost))) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

Election::~Election() { resign(); }

void Election::resign() {
  {
    const LockGuard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->wake.notify_all();
  }
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace regroup::coordinator
