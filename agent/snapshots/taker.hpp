// taker.hpp: what happens to a snapshot after its worker filled the slot: checksums, shelf, buddy, report; in the order
// of the takes.
//
// One thread computes checksums, which waits for nothing but memory. Each buddy has a sender with a thread of its own,
// so that a dead buddy delays its own snapshots alone. Nothing is skipped to catch up: a step is complete only if every
// member's snapshot of it is, so members that skip what they like would leave no complete step. The queue is bounded by
// the workers: each has at most one take for each of its slots under way.
#pragma once

#include "agent/snapshots/buddy_sender.hpp"
#include "api/keeper_reports.hpp"
#include "base/work_queue.hpp"

#include <atomic>
#include <future>
#include <map>

namespace regroup::agent {

using HoldsPromise = std::promise<std::vector<checkpoint::UnitSum>>;

struct Taking {
  WorkerId worker;
  Step step;
  Epoch epoch;
  Step safe{-1};
  std::string buddy;
  std::shared_ptr<Shelf> shelf;
  SnapshotPtr snapshot;  // on the shelf; null: the rank holds nothing
  // the same, without checksums yet; null: offered again, and the checksums of the first time stay
  std::shared_ptr<KeptSnapshot> to_sum;
  std::string problem;  // not empty: it could not be taken at all
  std::chrono::steady_clock::time_point since;
  // Told what the snapshot holds as soon as that is known: its save waits for it, or for its end. Null: no save.
  std::shared_ptr<HoldsPromise> holds;
};

class Taker {
 public:
  // on_kept: exactly one for each take() whose shelf is not closed; on threads of the taker.
  Taker(std::chrono::milliseconds idle, std::function<void(const SnapshotKept&)> on_kept);
  ~Taker();
  void take(Taking taking);

 private:
  void finish(const Taking& taking);
  void send(Taking taking);
  void report(const Taking& taking, const std::string& problem) const;

  const std::chrono::milliseconds idle_;
  const std::function<void(const SnapshotKept&)> on_kept_;
  std::atomic<bool> stopping_{false};
  std::map<std::string, std::unique_ptr<BuddySender>> senders_;  // the queue's thread alone
  WorkQueue queue_{WorkQueue::AtEnd::kRunsTheRest};              // last: its work uses the rest
};

}  // namespace regroup::agent
