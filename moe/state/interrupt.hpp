// interrupt.hpp: how a step or a regroup stops in the middle: the one kind of exception here. A wait that ended early
// throws it, and the worker's loop catches it. Inside moe/ only.
#pragma once

#include "base/result.hpp"

#include <utility>

namespace regroup {

// A newer epoch came (kNewerEpoch) or a peer was lost (kPeerLost): drop the step under way, keep the state, wait for
// the plan.
struct Interrupted {
  Error error;
};

// This node has other files than the job's: the worker is refused, and its place is on another node.
struct WrongFiles : Interrupted {};

template <class T>
T must(Result<T> result) {
  if (!result) throw Interrupted{result.error()};
  return std::move(*result);
}
inline void must(Result<void> result) {
  if (!result) throw Interrupted{result.error()};
}

}  // namespace regroup
