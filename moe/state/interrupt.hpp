// interrupt.hpp: how the step loop stops in the middle. Inside moe/ only: a wait that ended early unwinds to the
// worker's loop.
#pragma once

#include "base/result.hpp"

#include <utility>

namespace regroup {

// A newer epoch came (kNewerEpoch) or a peer was lost (kPeerLost): drop the step under way, keep the state, wait for
// the plan.
struct Interrupted {
  Error error;
};

template <class T>
T must(Result<T> result) {
  if (!result) throw Interrupted{result.error()};
  return std::move(*result);
}
inline void must(Result<void> result) {
  if (!result) throw Interrupted{result.error()};
}

}  // namespace regroup
