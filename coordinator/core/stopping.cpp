#include "coordinator/core/stopping.hpp"

#include <algorithm>

namespace regroup::coordinator {
namespace {

const Seen<WishRecord>* wish_of(const JobRecords& job) {
  for (const auto& [id, wish] : job.wishes) {
    if (wish.value.kind == WishKind::kStop) return &wish;
  }
  return nullptr;
}

Step newest_step(const JobRecords& job) {
  Step step;
  for (const auto& [node, progress] : job.progress) step = std::max(step, progress.value.step);
  return step;
}

// What is reported of the last checkpoint: an empty text when it is written, a problem when it could not be, nothing
// while it is being written.
std::optional<std::string> what_the_members_say(const JobRecords& job) {
  const Plan& plan = job.plan->value;
  if (!plan.ends) return std::nullopt;
  for (const auto& [node, progress] : job.progress) {
    if (progress.value.epoch == plan.epoch && progress.value.state == ProgressState::kStopped)
      return progress.value.reason;
  }
  return std::nullopt;
}

}  // namespace

std::string what_is_left(const JobRecords& job) {
  if (job.checkpoints.empty()) return "no checkpoint of it is known";
  return "the newest checkpoint is that of step " + std::to_string(job.checkpoints.rbegin()->first.value);
}

bool stop_wished(const JobRecords& job) { return wish_of(job) != nullptr; }

std::optional<std::string> why_stopped(const ClusterView& view, const JobRecords& job, JobState state, const Now& now) {
  const Seen<WishRecord>* wish = wish_of(job);
  if (wish == nullptr) return std::nullopt;
  const std::string at = "as wished, after step " + std::to_string(newest_step(job).value);
  if (!job.plan) return "as wished, before it trained";
  if (job.spec->value.snapshots.checkpoint_dir.empty()) return at + "; nothing is saved: the job has no snapshots.dir";
  if (wish->value.now) return at + "; at once, without saving: " + what_is_left(job);
  if (const auto problem = what_the_members_say(job)) {
    if (problem->empty()) return at + ", whose checkpoint is written";
    return at + ", which could not be saved: " + *problem + "; " + what_is_left(job);
  }
  const Span waited = std::chrono::duration_cast<Span>(now.at - wish->first_seen);
  // Retries in a row look like a regroup each time, and train as little as who waits.
  const bool stands = state == JobState::kWaiting || (state == JobState::kRegrouping && job.plan->value.retries > 1 &&
                                                      !job.has_committed(job.plan->value.epoch));
  if (stands && waited >= view.timing().stop_wait)
    return at + "; it could not be saved, for nobody trains: " + what_is_left(job);
  if (waited >= view.timing().stop_limit)
    return at + "; it was not saved within " + std::to_string(view.timing().stop_limit.count() / 1000) +
           " s: " + what_is_left(job);
  return std::nullopt;
}

}  // namespace regroup::coordinator
