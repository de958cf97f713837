#include "coordinator/core/link_history.hpp"

#include <algorithm>

namespace regroup::coordinator {
namespace {

constexpr Span kRemembered{300'000};
constexpr int kMost = 10;

}  // namespace

void LinkHistory::broke(const BrokenLink& link, Epoch epoch, Instant now) {
  std::erase_if(breaks_, [&](const Break& old) { return now - old.at > kRemembered; });
  const bool known = std::any_of(breaks_.begin(), breaks_.end(),
                                 [&](const Break& old) { return old.link == link && old.epoch == epoch; });
  if (!known) breaks_.push_back({link, epoch, now});
}

void LinkHistory::committed(Epoch epoch) {
  for (Break& old : breaks_) old.forgiven = old.forgiven || old.epoch < epoch;
}

bool LinkHistory::is_hopeless(const BrokenLink& link, Epoch epoch, Instant now) const {
  int before = 0;
  for (const Break& old : breaks_) {
    if (old.link != link || now - old.at > kRemembered) continue;
    if (old.epoch == epoch) continue;
    if (!old.forgiven) return true;
    ++before;
  }
  return before + 1 >= kMost;
}

}  // namespace regroup::coordinator
