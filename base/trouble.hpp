// trouble.hpp: which of many failures of one thing are worth a line in the log: the first, and then what is another
// one, but no more than one in ten seconds. One thread.
#pragma once

#include "base/now.hpp"

#include <string>

namespace regroup {

class Trouble {
 public:
  bool is_news(const std::string& text, Instant now) {
    if (text == told_ || (!told_.empty() && now - told_at_ < kBetween)) return false;
    told_ = text;
    told_at_ = now;
    return true;
  }
  void is_over() { told_.clear(); }

 private:
  static constexpr std::chrono::seconds kBetween{10};
  std::string told_;
  Instant told_at_{};
};

}  // namespace regroup
