// progress.hpp: how far a long run is, on standard error: a bar on a terminal, a line every 10 s elsewhere; nothing in
// the first 2 s.
#pragma once

#include "moe/data/prepare/prepare.hpp"

#include <chrono>
#include <string>

namespace regroup::cli {

class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();  // clears the bar
  void show(const PrepareProgress& progress);
  void say(const std::string& line);  // above the bar

  // "42 %  1.2 of 2.9 GB  38.1 MB/s  1234567 documents  0:44 left"; pure.
  static std::string line_of(const PrepareProgress& progress, double seconds);

 private:
  using Clock = std::chrono::steady_clock;
  void clear();
  bool terminal_;
  bool shown_ = false;
  Clock::time_point start_ = Clock::now(), next_;
};

}  // namespace regroup::cli
