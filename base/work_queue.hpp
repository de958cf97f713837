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
  WorkQueue();
  ~WorkQueue();  // finishes what runs, drops the rest
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;
  void post(std::function<void()> work);  // any thread

 private:
  Mutex mutex_;
  Condition changed_;
  std::deque<std::function<void()>> work_ REGROUP_GUARDED_BY(mutex_);
  bool stopped_ REGROUP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace regroup
