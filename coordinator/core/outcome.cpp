#include "coordinator/core/outcome.hpp"

#include "coordinator/core/stopping.hpp"

#include <algorithm>

namespace regroup::coordinator {

namespace {

std::string how_it_finished(const JobRecords& job, Step step) {
  const bool trained = std::any_of(job.progress.begin(), job.progress.end(),
                                   [](const auto& progress) { return progress.second.value.trained(); });
  const std::string all = "all " + std::to_string(step.value) + " steps are ";
  std::string otherwise;
  if (job.spec && job.spec->value.schedule_ended_anew)
    otherwise +=
        "; the schedule was ended anew on the way: the digest is not that of a job of so many steps from the start";
  if (job.spec && job.spec->value.terms_changed)
    otherwise +=
        "; optimizer or data were changed on the way: the digest is not that of a job that had these from the start";
  return all + (trained ? "committed" : "done already") + otherwise;
}

}  // namespace

std::optional<JobOutcome> outcome_of(const ClusterView& view, const JobRecords& job, JobState state, const Now& now,
                                     const std::string& failure) {
  JobOutcome outcome;
  for (const auto& [node, progress] : job.progress) {
    outcome.step = std::max(outcome.step, progress.value.step);
    if (outcome.state == JobState::kUnknown && progress.value.state == ProgressState::kFailed) {
      outcome.state = JobState::kFailed;
      outcome.reason = progress.value.reason;
    }
    if (progress.value.state != ProgressState::kFinished || progress.value.weights_sha256.empty()) continue;
    if (outcome.weights_sha256.empty()) {
      outcome.state = progress.value.reason.empty() ? JobState::kFinished : JobState::kFailed;
      outcome.weights_sha256 = progress.value.weights_sha256;
      outcome.reason = how_it_finished(job, progress.value.step);
      if (!progress.value.reason.empty())
        outcome.reason += ", but the last one could not be saved: " + progress.value.reason + "; " + what_is_left(job);
    } else if (outcome.weights_sha256 != progress.value.weights_sha256) {
      outcome.state = JobState::kFailed;
      outcome.reason = "members ended with different weights: " + outcome.weights_sha256 + " and " +
                       progress.value.weights_sha256 + " (of " + node.value + ")";
      outcome.weights_sha256.clear();
      break;
    }
  }
  if (outcome.state == JobState::kUnknown && !failure.empty()) {
    outcome.state = JobState::kFailed;
    outcome.reason = failure + "; " + what_is_left(job);
  }
  if (outcome.state == JobState::kUnknown) {
    const auto why = why_stopped(view, job, state, now);
    if (!why) return std::nullopt;
    outcome.state = JobState::kStopped;
    outcome.reason = *why;
  }
  return outcome;
}

}  // namespace regroup::coordinator
