// one_writer.hpp: a value that one thread changes and others look at. That one reads it without a lock, as nobody else
// changes it; its changes and the others' looks exclude each other.
#pragma once

#include "base/mutex.hpp"

namespace regroup {

template <class Value>
class OneWriter {
 public:
  // The writer's thread.
  [[nodiscard]] const Value& mine() const REGROUP_NO_THREAD_SAFETY_ANALYSIS { return value_; }
  template <class Change>
  auto change(Change how) {
    const LockGuard lock(mutex_);
    return how(value_);
  }
  // Any thread.
  template <class Look>
  auto look(Look at) const {
    const LockGuard lock(mutex_);
    return at(value_);
  }

 private:
  mutable Mutex mutex_;
  Value value_ REGROUP_GUARDED_BY(mutex_);
};

}  // namespace regroup
