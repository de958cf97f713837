#include "base/work_queue.hpp"

namespace regroup {

WorkQueue::WorkQueue()
    : thread_([this] {
        Lock lock(mutex_);
        for (;;) {
          changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return stopped_ || !work_.empty(); });
          if (stopped_) return;
          const auto work = std::move(work_.front());
          work_.pop_front();
          lock.unlock();
          work();
          lock.lock();
        }
      }) {}

WorkQueue::~WorkQueue() {
  {
    const LockGuard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void WorkQueue::post(std::function<void()> work) {
  {
    const LockGuard lock(mutex_);
    work_.push_back(std::move(work));
  }
  changed_.notify_all();
}

}  // namespace regroup
