#include "coordinator/core/rebalance.hpp"

#include "coordinator/core/plan_draft.hpp"

#include <algorithm>
#include <cstdio>

namespace regroup::coordinator {
namespace {

constexpr double kExpertsShare = 0.5;    // of a step's time, when a group has several ranks
constexpr double kHorizonSeconds = 600;  // routers change, so a gain is not counted for longer
constexpr double kBytesPerSecond = 1e9;  // that a rank receives
constexpr double kRegroupSeconds = 1;
constexpr int kMostDoublings = 8;  // of the wait between two moves: 43 minutes

// The members' newest report of the epoch in force; null before the first.
const ProgressRecord* newest_progress(const JobRecords& job) {
  const ProgressRecord* newest = nullptr;
  for (const auto& [node, progress] : job.progress) {
    if (progress.value.epoch != job.plan->value.epoch) continue;
    if (newest == nullptr || newest->step < progress.value.step) newest = &progress.value;
  }
  return newest;
}

std::int64_t tokens_of_step(const JobSpec& spec) {
  return static_cast<std::int64_t>(spec.microbatches) * spec.sequences_per_microbatch * spec.sequence_length;
}

bool is_time(const ClusterView& view, const JobRecords& job, const LoadMemory& memory, const Now& now) {
  return now.at - job.in_force.since() >= view.timing().load_wait * (1 << std::min(memory.moves, kMostDoublings));
}

std::string stays(const LoadMove& move) {
  char text[160];
  std::snprintf(text, sizeof text, ", would save %.1f s in the %lld steps that are left, and costs %.1f s",
                seconds_saved(move), static_cast<long long>(move.steps_left), seconds_spent(move));
  return "experts stay where they are: to move them by load, " + to_string(move.load) + text;
}

}  // namespace

double seconds_saved(const LoadMove& move) {
  const double seconds = std::min(kHorizonSeconds, move.step_seconds * static_cast<double>(move.steps_left));
  return (1 - move.load.lasting / move.load.by_count) * kExpertsShare * seconds;
}

double seconds_spent(const LoadMove& move) {
  return static_cast<double>(move.bytes) / kBytesPerSecond / move.ranks + kRegroupSeconds;
}

std::optional<Plan> rebalance(const ClusterView& view, const JobRecords& job, LoadMemory& memory, const Now& now) {
  const JobSpec& spec = job.spec->value;
  const Plan& plan = job.plan->value;
  const auto* load = job.newest_load();
  const ProgressRecord* progress = newest_progress(job);
  if (load == nullptr || load->value.epoch != plan.epoch || load->mod_revision == memory.looked_at) return std::nullopt;
  if (progress == nullptr || !(progress->tokens_per_second > 0) || !is_time(view, job, memory, now))
    return std::nullopt;
  memory.looked_at = load->mod_revision;
  memory.finding.clear();

  PlanDraft draft;
  draft.members = plan.members;
  draft.previous = &plan;
  draft.when = When::kBoundary;
  draft.cause = Cause::kLoad;
  draft.reason = "experts change places by the tokens that they get";
  auto drafted = make_plan(view, job, draft, now);
  if (!drafted || !drafted->rank_load || drafted->plan.placement == plan.placement) return std::nullopt;
  const LoadMove move{*drafted->rank_load, drafted->bytes_to_move, plan.placement.num_ranks(),
                      static_cast<double>(tokens_of_step(spec)) / progress->tokens_per_second,
                      spec.steps - progress->step.value};
  if (seconds_saved(move) > seconds_spent(move)) return std::move(drafted->plan);
  memory.finding = stays(move);
  return std::nullopt;
}

}  // namespace regroup::coordinator
