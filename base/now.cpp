#include "base/now.hpp"

#include <utility>

namespace regroup {

using Steady = std::chrono::steady_clock;

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Now read_clocks() { return {Steady::now(), wall_ms()}; }

double seconds_between(Instant from, Instant to) { return std::chrono::duration<double>(to - from).count(); }
double seconds_since(Instant from) { return seconds_between(from, Steady::now()); }
double ms_between(Instant from, Instant to) { return std::chrono::duration<double, std::milli>(to - from).count(); }
double ms_since(Instant from) { return ms_between(from, Steady::now()); }

double Stopwatch::lap() {
  const Instant now = Steady::now();
  return seconds_between(std::exchange(last_, now), now);
}

}  // namespace regroup
