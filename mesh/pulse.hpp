// pulse.hpp: is a peer alive, and does it make progress? Pure: time comes in as an argument.
//
// Two things can be wrong with a peer whose connection still stands. Its whole machine may be gone without an end of
// file (power, network): then nothing comes from it any more. Or its process lives, its I/O thread goes on sending
// heartbeats, but its main thread is stuck: then heartbeats come whose progress counter does not move.
//
// The rule: no byte for the silence limit is kSilence. Heartbeats whose counter stands still for the hang limit, from a
// peer that computes, are kHang. A peer that waits in the mesh for others is not judged: it stands still because of
// somebody else, and that one is found by its own peers.
//
// Complications: `now` is the time during which the *observer* was running (RunningClock), not the wall's: a process
// that was stopped for a minute has heard nothing for a minute, and would otherwise accuse everybody when it wakes. For
// the same reason a peer that was silent and speaks again gets the whole hang limit anew: its main thread was stopped,
// too.
#pragma once

#include <chrono>
#include <cstdint>

namespace regroup::mesh {

class Pulse {
 public:
  using Time = std::chrono::nanoseconds;
  enum class Verdict { kNone, kSilence, kHang };

  // Both limits begin anew: a new epoch, or a new connection.
  void restart(Time now);
  // Any bytes came.
  void heard(Time now);
  // A heartbeat came. Not judged for hanging: one whose progress is 0 (between plans), or that waits.
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
