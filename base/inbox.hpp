// inbox.hpp: where a daemon's only loop takes its events from, and every other thread leaves them.
//
// Bounded. A thread that posts says what shall become of its event when `most` events wait already, because only it
// knows what the event may bear:
//   post          it is taken all the same: for events that must not be lost, from sources that bound their number
//                 themselves (one end of each worker, one answer to each request), and for the loop's own thread
//   post_or_wait  the thread waits until there is room: for talkative sources that may be held up (a worker's socket)
//   post_or_fold  it is united with one that waits: for what is level-triggered, where the newest state is all that
//                 counts, from threads that may not be held up (etcd's watches)
// Events of one thread come in the order of its posts, but for what was folded.
//
// Threads: wait_until on the loop's, all else on any. After close() the loop gets nothing more, posts are dropped, and
// who waits for room goes on: close before joining threads that post.
#pragma once

#include "base/mutex.hpp"
#include "base/now.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <utility>

namespace regroup {

// What a waiting event does with a new one.
enum class Folded {
  kTaken,     // it has taken it up
  kNotKin,    // ask the one before
  kMustStand  // the new one must stand for itself, after this one
};

template <class Event>
class Inbox {
 public:
  explicit Inbox(std::size_t most) : most_(most) {}
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  void post(Event event) {
    const LockGuard lock(mutex_);
    add(std::move(event));
  }

  void post_or_wait(Event event) {
    Lock lock(mutex_);
    room_.wait(lock, [this]() REGROUP_REQUIRES(mutex_) { return closed_ || events_.size() < most_; });
    add(std::move(event));
  }

  // `fold(queued, event) -> Folded`, asked of the newest first. What no waiting event takes up is posted.
  template <class Fold>
  void post_or_fold(Event event, Fold fold) {
    const LockGuard lock(mutex_);
    if (events_.size() >= most_) {
      for (auto queued = events_.rbegin(); queued != events_.rend(); ++queued) {
        const Folded folded = fold(*queued, event);
        if (folded == Folded::kTaken) return;
        if (folded == Folded::kMustStand) break;
      }
    }
    add(std::move(event));
  }

  // All that came, in order; waits for the first until then.
  std::deque<Event> wait_until(Clock::time_point until) {
    Lock lock(mutex_);
    came_.wait_until(lock, until, [this]() REGROUP_REQUIRES(mutex_) { return closed_ || !events_.empty(); });
    std::deque<Event> taken = std::exchange(events_, {});
    room_.notify_all();
    return taken;
  }

  void close() {
    const LockGuard lock(mutex_);
    closed_ = true;
    events_.clear();
    came_.notify_all();
    room_.notify_all();
  }
  [[nodiscard]] bool closed() const {
    const LockGuard lock(mutex_);
    return closed_;
  }
  // For threads that try something again until the daemon ends.
  bool wait_closed(std::chrono::milliseconds most) {
    Lock lock(mutex_);
    return room_.wait_for(lock, most, [this]() REGROUP_REQUIRES(mutex_) { return closed_; });
  }

 private:
  void add(Event event) REGROUP_REQUIRES(mutex_) {
    if (closed_) return;
    events_.push_back(std::move(event));
    came_.notify_all();
  }

  const std::size_t most_;
  mutable Mutex mutex_;
  Condition came_, room_;
  std::deque<Event> events_ REGROUP_GUARDED_BY(mutex_);
  bool closed_ REGROUP_GUARDED_BY(mutex_) = false;
};

}  // namespace regroup
