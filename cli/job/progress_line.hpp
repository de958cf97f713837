// progress_line.hpp: how far a long command is, in one line that is rewritten on a terminal and repeated, less often,
// in a file. Lines that are said meanwhile go above it. One thread.
#pragma once

#include "base/now.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

namespace regroup::cli {

class ProgressLine {
 public:
  struct Pace {
    std::chrono::milliseconds first;  // nothing is shown before: short commands show nothing at all
    std::chrono::milliseconds every;
  };
  // That of commands that read or write many bytes.
  static constexpr Pace kOnTerminal{std::chrono::seconds(2), std::chrono::milliseconds(200)};
  static constexpr Pace kInFile{std::chrono::seconds(10), std::chrono::seconds(10)};

  explicit ProgressLine(std::FILE* out = stderr, Pace on_terminal = kOnTerminal, Pace in_file = kInFile);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // May be called often: shown when it is due and says something new.
  void show(const std::string& text);
  // "WHAT: BAR byte_progress": of callers that count bytes. `also` as there.
  void show_bytes(const std::string& what, std::int64_t done, std::int64_t total, const std::string& also = {});
  void say(const std::string& line);  // stays
  void clear();

 private:
  std::FILE* out_;
  bool terminal_;
  Pace pace_;
  bool shown_ = false;  // stands on the terminal
  std::string last_text_;
  Clock::time_point start_ = Clock::now(), next_;
};

// What verify, export and the like report to; returns true: go on.
std::function<bool(std::int64_t done, std::int64_t total)> shown_in(ProgressLine& line, const std::string& what);

// " 42 %  1.2 GB of 2.9 GB  38.1 MB/s  ALSO  0:44 left"; a total of 0 is one that nobody knows.
std::string byte_progress(std::int64_t done, std::int64_t total, double seconds, const std::string& also = {});

}  // namespace regroup::cli
