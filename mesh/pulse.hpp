// pulse.hpp: is a peer alive, and does it get on? Pure: time comes in as an argument.
//
// `now` is the observer's own running time, not the wall's: it stands still while the observer is stopped, so that one
// who sleeps accuses nobody when he wakes.
#pragma once

#include <chrono>
#include <cstdint>

namespace regroup::mesh {

class Pulse {
 public:
  using Time = std::chrono::nanoseconds;
  enum class Verdict { kNone, kSilence, kHang };

  // All clocks begin anew.
  void restart(Time now);
  // Any bytes came.
  void heard(Time now);
  // A beat came: progress 0 = not to be judged.
  void beat(Time now, std::uint64_t progress, bool waiting);
  // Each verdict comes once, and again after a recovery.
  Verdict check(Time now, Time silence_limit, Time hang_limit);
  [[nodiscard]] bool silent() const { return silent_; }

 private:
  Time heard_{}, moved_{};
  std::uint64_t progress_ = 0;
  bool judged_ = false;  // the last beat was of one that computes
  bool silent_ = false, hung_ = false;
};

// Time during which this thread was running: a gap between two looks counts for at most `largest_gap`.
class RunningClock {
 public:
  explicit RunningClock(std::chrono::nanoseconds largest_gap) : largest_gap_(largest_gap) {}
  Pulse::Time look(std::chrono::nanoseconds steady_now);

 private:
  std::chrono::nanoseconds largest_gap_, last_{-1}, running_{0};
};

}  // namespace regroup::mesh
