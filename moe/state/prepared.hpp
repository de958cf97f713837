// prepared.hpp: what one epoch's step loop leaves to the regroup that follows.
#pragma once

#include "base/ids.hpp"
#include "layout/bad_steps.hpp"
#include "moe/state/vote.hpp"

#include <functional>
#include <optional>

namespace regroup {

// A step that this worker has voted for without seeing all votes. Each owner holds the reduced gradients of its shards
// until it has applied them, so that the members of the next epoch may still commit the step, if one of them knows the
// record of its vote.
struct Prepared {
  std::optional<Step> step;  // none: there is no such step, and roll_forward is empty
  // applies the step, cannot be interrupted; returns the bad steps up to it
  std::function<BadSteps(const VoteRecord&)> roll_forward;
};

}  // namespace regroup
