#include "moe/train/validation.hpp"

#include "moe/train/interrupt.hpp"
#include "moe/train/step.hpp"
#include "moe/train/tags.hpp"
#include "moe/train/wire.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace regroup {

Result<ValidationRecord> count_validation(const JobView& job, Step step, const std::vector<std::vector<MicrobatchLoss>>& of_members) {
  std::vector<std::optional<MicrobatchLoss>> losses(static_cast<std::size_t>(job.spec.validation.microbatches));
  for (const auto& member : of_members) {
    for (const MicrobatchLoss& loss : member) {
      const auto at = static_cast<std::size_t>(loss.microbatch);
      if (loss.microbatch < 0 || at >= losses.size() || losses[at]) {
        return Error{Code::kInternal, "validation microbatch " + std::to_string(loss.microbatch) + " after step " + std::to_string(step.value) + " was computed twice or does not exist"};
      }
      losses[at] = loss;
    }
  }
  ValidationRecord record{step.value};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (!losses[i]) return Error{Code::kInternal, "nobody computed validation microbatch " + std::to_string(i) + " after step " + std::to_string(step.value)};
    record.loss_sum += losses[i]->loss_sum;
    record.targets += losses[i]->targets;
  }
  return record;
}

// The weights are at rest.
std::vector<MicrobatchLoss> StepRunner::validation_losses(Step name) {
  std::vector<MicrobatchLoss> losses;
  gather_->begin(name);
  experts_->begin_step(name);
  for (int wave = 0; wave < view_.validation_waves(); ++wave) {
    const std::vector<int> microbatches = view_.validation_microbatches(wave);
    if (std::all_of(microbatches.begin(), microbatches.end(), [](int m) { return m < 0; })) continue;
    experts_->begin_wave(wave, microbatches);
    const int microbatch = microbatches[static_cast<std::size_t>(view_.member)];
    if (microbatch < 0) {
      model_->serve_validation();
    } else {
      losses.push_back(model_->validate(microbatch, *validation_data_));
    }
    experts_->end_wave();
  }
  gather_->end();
  return losses;
}

ValidationRecord StepRunner::validate(Step step) {
  const Step name = validation_name(step);
  std::vector<MicrobatchLoss> mine;
  if (gather_) mine = validation_losses(name);
  hooks_.interrupt();
  WireWriter out;
  out.put(mine);
  vote_bytes_ = out.bytes();
  std::vector<std::vector<MicrobatchLoss>> all;
  for (const auto& bytes : must(all_gather_v(mesh_, view_.member_ranks(), make_tag(name, TransferOp::kVote), vote_bytes_))) {
    WireReader in(bytes);
    all.push_back(in.get_vector<MicrobatchLoss>());
    if (!in.ok()) throw Interrupted{{Code::kCorrupt, "a member's validation losses are cut short"}};
  }
  return must(count_validation(*view_.job, step, all));
}

}  // namespace regroup
