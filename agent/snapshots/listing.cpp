#include "agent/snapshots/listing.hpp"

#include "api/json_values.hpp"
#include "base/json_fields.hpp"
#include "base/log.hpp"
#include "base/mutex.hpp"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

namespace regroup::agent {
namespace {

using json::Json;

constexpr std::chrono::milliseconds kBetweenSigns{200};
constexpr std::size_t kMostSigns = 2048;  // spaces before the JSON: signs of life for 400 s

struct Check {
  SnapshotPtr snapshot;
  const KeptEntry* entry = nullptr;
};

Json describe(const KeptSnapshot& snapshot) {
  Json entries = Json::array();
  for (const KeptEntry& entry : snapshot.entries) entries.push_back({entry.unit, entry.blocks.lo, entry.blocks.hi});
  return {{"taken_by", to_string(snapshot.taken_by)},
          {"step", snapshot.step.value},
          {"epoch", snapshot.epoch.value},
          {"bad", to_value(snapshot.bad)},
          {"entries", std::move(entries)}};
}

std::string listing_of(const std::vector<SnapshotPtr>& snapshots) {
  Json list = Json::array();
  for (const SnapshotPtr& snapshot : snapshots) list.push_back(describe(*snapshot));
  return Json{{"snapshots", std::move(list)}}.dump();
}

// Every entry once, by whichever thread is free.
class Checker {
 public:
  explicit Checker(std::vector<Check> checks) : checks_(std::move(checks)) {
    const std::size_t count =
        std::min<std::size_t>({checks_.size(), 4, std::max(1U, std::thread::hardware_concurrency())});
    try {
      for (std::size_t i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {  // no more threads: those that there are do it
    }
    if (threads_.empty()) work();
  }
  std::vector<SnapshotPtr> wait(const std::function<void()>& still_at_it) {
    while (!done_soon()) still_at_it();
    for (std::thread& thread : threads_) thread.join();
    const LockGuard lock(mutex_);
    return std::move(torn_);
  }

 private:
  bool done_soon() {
    Lock lock(mutex_);
    return done_.wait_for(lock, kBetweenSigns, [this]() REGROUP_REQUIRES(mutex_) {
      return done_count_ == threads_.size() || threads_.empty();
    });
  }
  void work() {
    for (;;) {
      const std::size_t at = next_.fetch_add(1);
      if (at >= checks_.size()) break;
      const Check& check = checks_[at];
      if (still_matches(*check.snapshot, *check.entry, check.entry->blocks)) continue;
      const LockGuard lock(mutex_);
      torn_.push_back(check.snapshot);
    }
    const LockGuard lock(mutex_);
    ++done_count_;
    done_.notify_all();
  }

  const std::vector<Check> checks_;
  std::atomic<std::size_t> next_{0};
  Mutex mutex_;
  Condition done_;
  std::size_t done_count_ REGROUP_GUARDED_BY(mutex_) = 0;
  std::vector<SnapshotPtr> torn_ REGROUP_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace

std::vector<SnapshotPtr> whole_snapshots(Shelf& shelf, const std::function<void()>& still_at_it) {
  auto snapshots = shelf.complete();
  std::vector<Check> checks;
  for (const SnapshotPtr& snapshot : snapshots) {
    if (!snapshot->in_slot) continue;  // checked when it came, and nobody writes there
    for (const KeptEntry& entry : snapshot->entries) checks.push_back({snapshot, &entry});
  }
  for (const SnapshotPtr& torn : Checker(std::move(checks)).wait(still_at_it)) {
    const auto at = std::find(snapshots.begin(), snapshots.end(), torn);
    if (at == snapshots.end()) continue;
    log::info("snapshot_torn", {{"taken_by", to_string(torn->taken_by)},
                                {"step", torn->step.value},
                                {"reason", "its memory no longer matches its checksums"}});
    shelf.drop(torn);
    snapshots.erase(at);
  }
  return snapshots;
}

Result<void> answer_list(PeerSocket& socket, Shelf& shelf) {
  // what comes meanwhile has room too
  const std::size_t most = listing_of(shelf.complete()).size() + kMostSigns + (64 << 10);
  if (most > kPeerMaxFrame)
    return socket.write_frame(error_json({Code::kUnavailable, "the list of snapshots is larger than a frame"}));
  const auto length = static_cast<std::uint32_t>(most);
  Result<void> sent = socket.write({{const_cast<std::uint32_t*>(&length), sizeof length}});
  std::size_t signs = 0;
  const auto whole = whole_snapshots(shelf, [&] {
    char space = ' ';
    if (sent && signs < kMostSigns && ++signs > 0) sent = socket.write({{&space, 1}});
  });
  if (!sent) return sent;
  std::string text = listing_of(whole);
  if (text.size() > most - signs) text = listing_of({});  // the shelf grew faster than it was read
  text.append(most - signs - text.size(), ' ');
  return socket.write({{text.data(), text.size()}});
}

}  // namespace regroup::agent
