// saver.hpp: this node's parts of durable checkpoints, written in the order in which they were asked for, and their
// commits.
//
// Two threads: one writes parts, the other waits for everybody's parts and commits. With one thread a commit could wait
// for a part of the same checkpoint that stands behind it in this queue. Failures are texts in the event. The queues
// are bounded by the workers, which fill no slot again before its save has ended. The destructor cancels all.
#pragma once

#include "agent/snapshots/region.hpp"
#include "api/keeper_reports.hpp"
#include "base/mutex.hpp"
#include "base/work_queue.hpp"
#include "checkpoint/io/save.hpp"

#include <list>

namespace regroup::agent {

struct Saving {
  WorkerId worker;
  checkpoint::SaveRequest request;  // entries point into `memory`
  std::shared_ptr<Region> memory;
  int keep_last = 1;
  std::string problem;  // not empty: it cannot be saved at all
  std::chrono::steady_clock::time_point since;
  checkpoint::CancelFlag cancel;
};

class Saver {
 public:
  // on_saved: exactly one for each save(), on a thread of the saver; the save no longer counts as under way then.
  Saver(std::chrono::milliseconds commit_wait, std::function<void(const CheckpointSaved&)> on_saved);
  ~Saver();
  void save(Saving saving);  // any thread, as all
  void cancel_before(const std::string& job, Epoch epoch);
  [[nodiscard]] int under_way() const;

 private:
  using SavingPtr = std::shared_ptr<const Saving>;
  void write(const SavingPtr& saving);
  void commit_and_prune(const SavingPtr& saving);
  void report(const SavingPtr& saving, CheckpointSaved saved);

  const std::chrono::milliseconds commit_wait_;
  const std::function<void(const CheckpointSaved&)> on_saved_;
  mutable Mutex mutex_;
  std::list<SavingPtr> under_way_ REGROUP_GUARDED_BY(mutex_);
  WorkQueue committer_{WorkQueue::AtEnd::kRunsTheRest};
  WorkQueue writer_{WorkQueue::AtEnd::kRunsTheRest};  // goes first: it hands over to the committer
};

}  // namespace regroup::agent
