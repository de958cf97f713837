#include "cli/data/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace regroup::cli {
namespace {

constexpr int kBarWidth = 24;

std::string bytes_text(std::int64_t bytes) {
  char text[32];
  const auto value = static_cast<double>(bytes);
  std::snprintf(text, sizeof text, value < 1e9 ? "%.1f MB" : "%.2f GB", value < 1e9 ? value / 1e6 : value / 1e9);
  return text;
}

}  // namespace

ProgressBar::ProgressBar() : terminal_(::isatty(2) == 1), next_(start_ + std::chrono::seconds(terminal_ ? 2 : 10)) {}
ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::clear() {
  if (shown_) std::fprintf(stderr, "\r\x1b[K");
  shown_ = false;
}

void ProgressBar::say(const std::string& line) {
  clear();
  std::fprintf(stderr, "%s\n", line.c_str());
}

std::string ProgressBar::line_of(const PrepareProgress& progress, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(progress.bytes_done) / seconds : 0;
  char text[160];
  std::string line;
  if (progress.bytes_total > 0) {
    std::snprintf(text, sizeof text, "%3.0f %%  %s of %s",
                  100.0 * static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total),
                  bytes_text(progress.bytes_done).c_str(), bytes_text(progress.bytes_total).c_str());
  } else {
    std::snprintf(text, sizeof text, "%s", bytes_text(progress.bytes_done).c_str());
  }
  line += text;
  std::snprintf(text, sizeof text, "  %.1f MB/s  %lld documents", rate / 1e6,
                static_cast<long long>(progress.num_documents));
  line += text;
  if (progress.bytes_total > progress.bytes_done && rate > 0) {
    const auto left = static_cast<long long>(static_cast<double>(progress.bytes_total - progress.bytes_done) / rate);
    line += "  ";
    if (left >= 3600) line += std::to_string(left / 3600) + ":";
    std::snprintf(text, sizeof text, left >= 3600 ? "%02lld:%02lld left" : "%lld:%02lld left", left % 3600 / 60,
                  left % 60);
    line += text;
  }
  return line;
}

void ProgressBar::show(const PrepareProgress& progress) {
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + (terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000));
  const std::string line = line_of(progress, std::chrono::duration<double>(now - start_).count());
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  std::string bar;
  if (progress.bytes_total > 0) {
    const auto full = std::clamp<std::int64_t>(progress.bytes_done * kBarWidth / progress.bytes_total, 0, kBarWidth);
    bar = "[" + std::string(static_cast<std::size_t>(full), '#') +
          std::string(static_cast<std::size_t>(kBarWidth - full), '.') + "] ";
  }
  std::fprintf(stderr, "\r\x1b[K%s%s", bar.c_str(), line.c_str());
  std::fflush(stderr);
  shown_ = true;
}

}  // namespace regroup::cli
