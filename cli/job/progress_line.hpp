// progress_line.hpp: how far a command that reads many bytes has got. Private to cli/.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>

namespace regroup::cli {

// A line on standard error from the third second on: rewritten on a terminal, every ten seconds into a file.
class ProgressLine {
 public:
  explicit ProgressLine(std::string what) : what_(std::move(what)) {}
  ~ProgressLine() {
    if (terminal_ && shown_) std::fprintf(stderr, "\r\x1b[K");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  std::function<bool(std::int64_t, std::int64_t)> callback() {
    return [this](std::int64_t done, std::int64_t total) {
      const auto now = std::chrono::steady_clock::now();
      if (now < next_) return true;
      next_ = now + (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000));
      shown_ = true;
      std::fprintf(stderr, "%s%s: %.2f of %.2f GB%s", terminal_ ? "\r" : "", what_.c_str(),
                   static_cast<double>(done) / 1e9, static_cast<double>(total) / 1e9, terminal_ ? "" : "\n");
      std::fflush(stderr);
      return true;
    };
  }

 private:
  std::string what_;
  bool terminal_ = ::isatty(2) == 1;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now() + std::chrono::seconds(2);
};

}  // namespace regroup::cli
