// taker.hpp: what happens to a snapshot after its worker filled the slot: summed, put on the shelf, sent to the buddy,
// reported. In the order of the takes.
//
// One thread sums (memory alone, so nobody waits long for anybody); each buddy has a sender, so that a dead one delays
// only its own. Nothing is skipped: which steps are complete depends on every member, and a worker bounds the queue
// itself by its slots.
#pragma once

#include "agent/snapshots/buddy_sender.hpp"
#include "agent/snapshots/keeper.hpp"

#include <map>

namespace regroup {

struct Taking {
  WorkerId worker;
  Step step;
  Epoch epoch;
  Step safe{-1};
  std::string buddy;
  std::shared_ptr<Shelf> shelf;
  SnapshotPtr snapshot;  // on the shelf; null: the rank holds nothing
  // the same, not summed yet; null: offered again, and its checksums stay those of the first time
  std::shared_ptr<KeptSnapshot> to_sum;
  std::string problem;  // not empty: it could not be taken at all
  std::chrono::steady_clock::time_point since;
};

class Taker {
 public:
  // on_kept: exactly one for each take() whose shelf is not closed; on threads of the taker.
  Taker(std::chrono::milliseconds idle, std::function<void(const SnapshotKept&)> on_kept);
  ~Taker();
  void take(Taking taking);

 private:
  void work();
  void finish(const Taking& taking);
  void send(Taking taking);
  void report(const Taking& taking, const std::string& problem) const;

  const std::chrono::milliseconds idle_;
  const std::function<void(const SnapshotKept&)> on_kept_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Taking> queue_;
  bool stopping_ = false;
  std::map<std::string, std::unique_ptr<BuddySender>> senders_;  // the thread's
  std::thread thread_;
};

}  // namespace regroup
