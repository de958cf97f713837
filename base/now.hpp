// now.hpp: the two clocks: a monotonic one for every decision and duration, the wall's for what people read.
//
// The pure cores are handed a Now; shells and the worker read the clocks.
#pragma once

#include <chrono>
#include <cstdint>

namespace regroup {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;
using Span = std::chrono::milliseconds;

struct Now {
  Instant at;                // monotonic, for every decision
  std::int64_t wall_ms = 0;  // since 1970, for what people read
};

Now read_clocks();
std::int64_t wall_ms();  // since 1970

double seconds_between(Instant from, Instant to);
double seconds_since(Instant from);
double ms_between(Instant from, Instant to);
double ms_since(Instant from);

// Seconds from one lap to the next; the first begins with the watch.
class Stopwatch {
 public:
  double lap();

 private:
  Instant last_ = Clock::now();
};

}  // namespace regroup
