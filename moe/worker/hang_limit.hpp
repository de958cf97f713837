// hang_limit.hpp: a worker whose heartbeats arrive but whose progress counter stands still for this long counts as
// hung: 50 heartbeats, or 10 median steps if that is longer. Pure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace regroup {

class HangLimit {
 public:
  explicit HangLimit(int heartbeat_ms) : heartbeat_ms_(heartbeat_ms) {}

  // The limit after one more step of this duration; the median is of the last 16.
  std::chrono::milliseconds after_step(double seconds) {
    seconds_.push_back(seconds);
    if (seconds_.size() > 16) seconds_.erase(seconds_.begin());
    std::vector<double> sorted = seconds_;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    const double median_ms = sorted[sorted.size() / 2] * 1000;
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::max(50.0 * heartbeat_ms_, 10 * median_ms)));
  }

 private:
  int heartbeat_ms_;
  std::vector<double> seconds_;
};

}  // namespace regroup
