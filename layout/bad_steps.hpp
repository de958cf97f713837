// bad_steps.hpp: how many committed steps changed no weight, because their gradients were not finite. Part of the
// training state: saved and moved with it. Pure.
#pragma once

#include <cstdint>

namespace regroup {

struct BadSteps {
  std::int64_t total = 0;
  std::int64_t in_a_row = 0;  // up to the newest step
  // After one more step.
  [[nodiscard]] constexpr BadSteps after(bool bad) const {
    return bad ? BadSteps{total + 1, in_a_row + 1} : BadSteps{total, 0};
  }
  friend bool operator==(const BadSteps&, const BadSteps&) = default;
};

}  // namespace regroup
