// work_queue.hpp: one thread that runs what is posted, in order: for calls that block, beside a loop that must not.
//
// The queue has no limit, because post must not block and there is nobody to tell that work was dropped. So whoever
// owns one bounds what is posted: an answer is awaited before the next request, or each piece answers something that is
// bounded itself.
#pragma once

#include "base/mutex.hpp"

#include <deque>
#include <functional>
#include <thread>

namespace regroup {

class WorkQueue {
 public:
  // What the destructor does with the work that waits. It always lets end what runs.
  enum class AtEnd { kDropsTheRest, kRunsTheRest };

  explicit WorkQueue(AtEnd at_end = AtEnd::kDropsTheRest);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;
  // Any thread.
  void post(std::function<void()> work);
  [[nodiscard]] bool idle() const;  // nothing runs or waits

 private:
  void run();

  const AtEnd at_end_;
  mutable Mutex mutex_;
  Condition changed_;
  std::deque<std::function<void()>> work_ REGROUP_GUARDED_BY(mutex_);
  bool busy_ REGROUP_GUARDED_BY(mutex_) = false;
  bool stopped_ REGROUP_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace regroup
