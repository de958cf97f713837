// validation.hpp: the loss on held-out data after a committed step. A function of that step's weights: the same bits on
// every layout, however often it is computed. Pure.
#pragma once

#include "moe/state/vote.hpp"

#include <bit>
#include <cstdint>
#include <vector>

namespace regroup {

// Of one validation; equal on every member.
struct ValidationRecord {
  std::int64_t step = -1;  // after which; -1: none yet
  double loss_sum = 0;     // over its targets, added in microbatch order
  std::int64_t targets = 0;
  [[nodiscard]] double loss() const { return loss_sum / static_cast<double>(targets > 0 ? targets : 1); }
  // As bits: a loss may be no number.
  friend bool operator==(const ValidationRecord& a, const ValidationRecord& b) {
    return a.step == b.step && std::bit_cast<std::uint64_t>(a.loss_sum) == std::bit_cast<std::uint64_t>(b.loss_sum) &&
           a.targets == b.targets;
  }
};

// kInternal when a microbatch is missing or was computed twice.
Result<ValidationRecord> count_validation(const JobConstants& job, Step step,
                                          const std::vector<std::vector<MicrobatchLoss>>& of_members);

// Transfers of the validation after a step bear this name instead of the step's: training's steps do not reach so far
// (check_job).
inline Step validation_name(Step step) { return Step(step.value + (std::int64_t{1} << 31)); }

}  // namespace regroup
