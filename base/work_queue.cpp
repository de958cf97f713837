#include "base/work_queue.hpp"

#include <utility>

namespace regroup {

WorkQueue::WorkQueue(AtEnd at_end) : at_end_(at_end), thread_([this] { run(); }) {}

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

bool WorkQueue::idle() const {
  const LockGuard lock(mutex_);
  return work_.empty() && !busy_;
}

void WorkQueue::run() {
  Lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return stopped_ || !work_.empty(); });
    if (work_.empty() || (stopped_ && at_end_ == AtEnd::kDropsTheRest)) return;
    auto work = std::move(work_.front());
    work_.pop_front();
    busy_ = true;
    lock.unlock();
    work();
    work = nullptr;  // what it holds goes before anybody hears that it is done
    lock.lock();
    busy_ = false;
  }
}

}  // namespace regroup
