// guarded.hpp: a value that several threads share, under a lock of its own.
#pragma once

#include "base/mutex.hpp"

namespace regroup {

template <class Value>
class Guarded {
 public:
  template <class Change>
  auto change(const Change& how) {
    const LockGuard lock(mutex_);
    return how(value_);
  }
  template <class Look>
  auto look(const Look& at) const {
    const LockGuard lock(mutex_);
    return at(value_);
  }
  [[nodiscard]] Value copy() const {
    const LockGuard lock(mutex_);
    return value_;
  }

 protected:
  mutable Mutex mutex_;
  Value value_ REGROUP_GUARDED_BY(mutex_);
};

// Changed by one thread alone, which so reads it without the lock.
template <class Value>
class OneWriter : public Guarded<Value> {
 public:
  // The writer's thread.
  [[nodiscard]] const Value& mine() const REGROUP_NO_THREAD_SAFETY_ANALYSIS { return this->value_; }
};

}  // namespace regroup
