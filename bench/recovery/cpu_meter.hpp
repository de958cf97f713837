// cpu_meter.hpp: how much of this machine's CPU time went to others than this process and all below it: whether the
// figures of a run mean anything.
#pragma once

#include <string>
#include <vector>

namespace regroup::bench {

class CpuMeter {
 public:
  CpuMeter();
  // Of all CPU time of this machine since the meter was made: the share that others used (with what a hypervisor took
  // away). Processes below us must still run, or have been waited for.
  [[nodiscard]] double share_of_others() const;

 private:
  struct Reading {
    double all_s = 0, busy_s = 0, ours_s = 0;
  };
  static Reading read();
  Reading start_;
};

}  // namespace regroup::bench
