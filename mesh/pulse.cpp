#include "mesh/pulse.hpp"

#include <algorithm>

namespace regroup::mesh {

void Pulse::restart(Time now) {
  heard_ = moved_ = now;
  judged_ = silent_ = hung_ = false;
}

void Pulse::heard(Time now) {
  if (silent_) moved_ = now;  // its main thread was stopped as well: it gets the whole limit again
  heard_ = now;
  silent_ = false;
}

void Pulse::beat(Time now, std::uint64_t progress, bool waiting) {
  heard(now);
  judged_ = progress != 0 && !waiting;
  if (!judged_ || progress != progress_) {
    moved_ = now;
    hung_ = false;
  }
  progress_ = progress;
}

Pulse::Verdict Pulse::check(Time now, Time silence_limit, Time hang_limit) {
  if (!silent_ && now - heard_ > silence_limit) {
    silent_ = true;
    return Verdict::kSilence;
  }
  if (!silent_ && judged_ && !hung_ && now - moved_ > hang_limit) {
    hung_ = true;
    return Verdict::kHang;
  }
  return Verdict::kNone;
}

Pulse::Time RunningClock::look(std::chrono::nanoseconds steady_now) {
  if (last_.count() >= 0) running_ += std::clamp(steady_now - last_, std::chrono::nanoseconds{0}, largest_gap_);
  last_ = steady_now;
  return running_;
}

}  // namespace regroup::mesh
