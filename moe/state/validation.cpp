#include "moe/state/validation.hpp"

#include <optional>
#include <string>

namespace regroup {

Result<ValidationRecord> count_validation(const JobConstants& job, Step step,
                                          const std::vector<std::vector<MicrobatchLoss>>& of_members) {
  std::vector<std::optional<MicrobatchLoss>> losses(static_cast<std::size_t>(job.spec.validation.microbatches));
  for (const auto& member : of_members) {
    for (const MicrobatchLoss& loss : member) {
      const auto at = static_cast<std::size_t>(loss.microbatch);
      if (loss.microbatch < 0 || at >= losses.size() || losses[at]) {
        return Error{Code::kInternal, "validation microbatch " + std::to_string(loss.microbatch) + " after step " +
                                          std::to_string(step.value) + " was computed twice or does not exist"};
      }
      losses[at] = loss;
    }
  }
  ValidationRecord record{step.value};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (!losses[i])
      return Error{Code::kInternal, "nobody computed validation microbatch " + std::to_string(i) + " after step " +
                                        std::to_string(step.value)};
    record.loss_sum += losses[i]->loss_sum;
    record.targets += losses[i]->targets;
  }
  return record;
}

}  // namespace regroup
