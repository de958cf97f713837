// repeats.hpp: how often one and the same line is worth a place in the log: at once the first time, and then at most
// once in ten seconds, with how often it has come. One thread at a time.
#pragma once

#include "base/now.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace regroup {

class Repeats {
 public:
  // The line comes again: how often since it was last written, this time counted. Nothing: it is not to be written now.
  std::optional<std::uint64_t> times(const std::string& line, Instant now) {
    if (known_.size() > kMost) std::erase_if(known_, [&](const auto& entry) { return is_due(entry.second, now); });
    const auto [at, is_new] = known_.try_emplace(line, Known{now, 0});
    ++at->second.times;
    if (!is_new && !is_due(at->second, now)) return std::nullopt;
    const std::uint64_t times = at->second.times;
    at->second = {now, 0};
    return times;
  }

 private:
  static constexpr std::chrono::seconds kBetween{10};
  static constexpr std::size_t kMost = 100;
  struct Known {
    Instant written{};
    std::uint64_t times = 0;  // since then
  };
  static bool is_due(const Known& known, Instant now) { return now - known.written >= kBetween; }

  std::map<std::string, Known> known_;
};

}  // namespace regroup
