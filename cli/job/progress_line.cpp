#include "cli/job/progress_line.hpp"

#include "base/bytes_text.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace regroup::cli {
namespace {

constexpr std::int64_t kBarWidth = 24;

std::string bar(std::int64_t done, std::int64_t total) {
  const auto full = static_cast<std::size_t>(
      std::clamp<std::int64_t>(static_cast<std::int64_t>(static_cast<double>(done) / static_cast<double>(total) *
                                                         static_cast<double>(kBarWidth)),
                               0, kBarWidth));
  return "[" + std::string(full, '#') + std::string(kBarWidth - full, '.') + "] ";
}

std::string time_text(std::int64_t seconds) {
  if (seconds >= 3600) return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds % 3600 / 60, seconds % 60);
  return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

}  // namespace

ProgressLine::ProgressLine(std::FILE* out, Pace on_terminal, Pace in_file)
    : out_(out),
      terminal_(::isatty(::fileno(out)) == 1),
      pace_(terminal_ ? on_terminal : in_file),
      next_(start_ + pace_.first) {}

void ProgressLine::show(const std::string& text) {
  const auto now = Clock::now();
  if (now < next_ || text == last_text_) return;
  next_ = now + pace_.every;
  last_text_ = text;
  if (terminal_) {
    winsize size{};  // a line that wraps could not be rewritten
    const bool known = ::ioctl(::fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    std::fprintf(out_, "\r\x1b[K%s", known ? text.substr(0, size.ws_col - 1U).c_str() : text.c_str());
    shown_ = true;
  } else {
    std::fprintf(out_, "%s\n", text.c_str());
  }
  std::fflush(out_);
}

void ProgressLine::show_bytes(const std::string& what, std::int64_t done, std::int64_t total, const std::string& also) {
  const auto now = Clock::now();
  if (now < next_) return;
  show((what.empty() ? "" : what + ": ") + (terminal_ && total > 0 ? bar(done, total) : "") +
       byte_progress(done, total, std::chrono::duration<double>(now - start_).count(), also));
}

void ProgressLine::say(const std::string& line) {
  if (shown_) next_ = Clock::now();  // it comes back at once
  clear();
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
}

void ProgressLine::clear() {
  if (!shown_) return;
  std::fprintf(out_, "\r\x1b[K");
  std::fflush(out_);
  shown_ = false;
  last_text_.clear();
}

std::function<bool(std::int64_t done, std::int64_t total)> shown_in(ProgressLine& line, const std::string& what) {
  return [&line, what](std::int64_t done, std::int64_t total) {
    line.show_bytes(what, done, total);
    return true;
  };
}

std::string byte_progress(std::int64_t done, std::int64_t total, double seconds, const std::string& also) {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line = bytes_text(done);
  if (total > 0)
    line = fmt::format("{:3.0f} %  {} of {}", 100.0 * static_cast<double>(done) / static_cast<double>(total), line,
                       bytes_text(total));
  line += fmt::format("  {:.1f} MB/s", rate / 1e6);
  if (!also.empty()) line += "  " + also;
  if (total > done && rate > 0)
    line += "  " + time_text(static_cast<std::int64_t>(static_cast<double>(total - done) / rate)) + " left";
  return line;
}

}  // namespace regroup::cli
