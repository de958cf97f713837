// thread_clock.hpp: this thread's CPU time: a busy neighbour on the machine changes it little.
#pragma once

#include <ctime>

namespace regroup::bench {

inline double cpu_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

}  // namespace regroup::bench
