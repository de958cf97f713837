// work_queue.hpp: one thread that runs what is posted, in order: for calls that block, beside a loop that must not.
//
// The queue has no limit, because post must not block and there is nobody to tell that work was dropped. So whoever
// owns one bounds what is posted: an answer is awaited before the next request, or each piece answers something that is
// bounded itself.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
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
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace regroup
