// mutex.hpp: std::mutex and its guards, with annotations that clang checks (thread_annotations.hpp). Costs nothing.
//
// LockGuard holds a Mutex as long as it lives. Lock can let go meanwhile, and a Condition waits with it; a predicate
// that reads guarded members says so: `changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return !queue_.empty();
// })`.
#pragma once

#include "base/thread_annotations.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace regroup {

class REGROUP_CAPABILITY("mutex") Mutex {
 public:
  void lock() REGROUP_ACQUIRE() { mutex_.lock(); }
  void unlock() REGROUP_RELEASE() { mutex_.unlock(); }
  bool try_lock() REGROUP_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  friend class Lock;
  std::mutex mutex_;
};

class REGROUP_SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(Mutex& mutex) REGROUP_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  LockGuard(Mutex& mutex, std::adopt_lock_t) REGROUP_REQUIRES(mutex) : mutex_(mutex) {}
  ~LockGuard() REGROUP_RELEASE() { mutex_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Mutex& mutex_;
};

class REGROUP_SCOPED_CAPABILITY Lock {
 public:
  explicit Lock(Mutex& mutex) REGROUP_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~Lock() REGROUP_RELEASE() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  void lock() REGROUP_ACQUIRE() { lock_.lock(); }
  void unlock() REGROUP_RELEASE() { lock_.unlock(); }

 private:
  friend class Condition;
  std::unique_lock<std::mutex> lock_;
};

// Waiting lets go of the lock and has it again when it returns.
class Condition {
 public:
  void wait(Lock& lock) { condition_.wait(lock.lock_); }
  template <class Time>
  void wait_until(Lock& lock, const Time& time) {
    condition_.wait_until(lock.lock_, time);
  }
  template <class Time, class Ready>
  bool wait_until(Lock& lock, const Time& time, Ready ready) {
    return condition_.wait_until(lock.lock_, time, std::move(ready));
  }
  template <class Ready>
  void wait(Lock& lock, Ready ready) {
    condition_.wait(lock.lock_, std::move(ready));
  }
  template <class Duration, class Ready>
  bool wait_for(Lock& lock, const Duration& duration, Ready ready) {
    return condition_.wait_for(lock.lock_, duration, std::move(ready));
  }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace regroup
