// now.hpp: one moment, by the two clocks that decisions and people use. The pure cores are handed one; shells read it.
#pragma once

#include <chrono>
#include <cstdint>

namespace regroup {

using Instant = std::chrono::steady_clock::time_point;
using Span = std::chrono::milliseconds;

struct Now {
  Instant at;                // monotonic, for every decision
  std::int64_t wall_ms = 0;  // since 1970, for what people read
};

Now read_clocks();

}  // namespace regroup
