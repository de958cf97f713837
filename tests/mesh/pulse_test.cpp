// Who is silent, who hangs: time as an argument.
#include "mesh/pulse.hpp"

#include <gtest/gtest.h>

namespace regroup::mesh {
namespace {

using namespace std::chrono_literals;
using Verdict = Pulse::Verdict;

TEST(Pulse, silence_is_said_once_and_again_after_a_recovery) {
  Pulse pulse;
  pulse.restart(0ms);
  EXPECT_EQ(pulse.check(1000ms, 1000ms, 10s), Verdict::kNone);
  EXPECT_EQ(pulse.check(1001ms, 1000ms, 10s), Verdict::kSilence);
  EXPECT_EQ(pulse.check(5000ms, 1000ms, 10s), Verdict::kNone);
  pulse.heard(6000ms);
  EXPECT_EQ(pulse.check(6500ms, 1000ms, 10s), Verdict::kNone);
  EXPECT_EQ(pulse.check(7001ms, 1000ms, 10s), Verdict::kSilence);
}

TEST(Pulse, one_who_beats_without_progress_hangs_unless_it_waits_or_is_not_judged) {
  Pulse pulse;
  pulse.restart(0ms);
  const auto beat_until = [&](std::chrono::milliseconds from, std::chrono::milliseconds to, std::uint64_t progress,
                              bool waiting) {
    int hangs = 0;
    for (auto t = from; t <= to; t += 100ms) {
      pulse.beat(t, progress, waiting);
      hangs += pulse.check(t, 1s, 5s) == Verdict::kHang;
    }
    return hangs;
  };
  EXPECT_EQ(beat_until(0ms, 20s, 0, false), 0);  // 0: not judged
  EXPECT_EQ(beat_until(20s, 40s, 3, true), 0);   // waits
  EXPECT_EQ(beat_until(40s, 44s, 3, false), 0);  // computes, within the limit
  EXPECT_EQ(beat_until(44s, 60s, 3, false), 1);  // beyond it: once
  EXPECT_EQ(beat_until(60s, 64s, 4, false), 0);  // moved
  EXPECT_EQ(beat_until(64s, 80s, 4, false), 1);  // and stands again
}

TEST(Pulse, one_who_was_stopped_gets_the_whole_hang_limit_again) {
  Pulse pulse;
  pulse.restart(0ms);
  pulse.beat(0ms, 7, false);
  EXPECT_EQ(pulse.check(4s, 1s, 5s), Verdict::kSilence);
  pulse.beat(20s, 7, false);
  EXPECT_EQ(pulse.check(20s, 1s, 5s), Verdict::kNone);
}

TEST(Pulse, time_in_which_the_observer_did_not_run_does_not_count) {
  RunningClock clock(200ms);
  EXPECT_EQ(clock.look(1000s), 0s);
  EXPECT_EQ(clock.look(1000s + 50ms), 50ms);
  EXPECT_EQ(clock.look(1060s), 250ms);  // slept a minute
  EXPECT_EQ(clock.look(1060s), 250ms);
}

}  // namespace
}  // namespace regroup::mesh
