#include "cli/local/story.hpp"

#include "base/bytes_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace regroup::cli {

void Story::tell(const JournalLine& line, const RunRecord& record) {
  if (line.event == JournalEvent::kPlan && told_plans_.insert(line.epoch).second) {
    note_(fmt::format("decided   epoch {}: {} member{} in {} group{}, {} ms after the first evidence{}: {}",
                      line.epoch.value, line.num_members, line.num_members == 1 ? "" : "s", line.num_groups,
                      line.num_groups == 1 ? "" : "s",
                      std::max<std::int64_t>(0, line.decided_at_ms - line.detected_at_ms),
                      line.at_boundary ? " (at a step boundary)" : "", line.reason));
  } else if (line.event == JournalEvent::kSuspicion && record.newest_step().value >= steps_) {
    return;  // after the last step workers end, and their peers see it: no news
  } else if (line.event == JournalEvent::kSuspicion &&
             told_suspicions_.insert(std::to_string(line.epoch.value) + line.whom).second) {
    note_(fmt::format("noticed   {}: {} (by {})", line.whom, kEvidenceWords(line.evidence), line.node));
  } else if (line.event == JournalEvent::kWorkerExited && !line.asked) {
    note_(fmt::format(
        "exited    worker {} {}{}", line.worker,
        line.signal > 0 ? "by signal " + std::to_string(line.signal) : "with status " + std::to_string(line.status),
        line.text.empty() ? "" : ": " + line.text));
  } else if (line.event == JournalEvent::kCommitted && line.bad_in_a_row > 0) {
    if (told_bad_steps_.insert(line.step).second)
      note_(
          fmt::format("bad step  {}: its gradients were not finite, no weight was changed; {} in a row (max_bad_steps)",
                      line.step.value, line.bad_in_a_row));
  } else if (line.event == JournalEvent::kFault) {
    last_fault_ = line.worker + ": " + line.text;
    note_("fault     " + last_fault_);
  } else if (line.event == JournalEvent::kValidated) {
    if (validation_told_ < line.step)
      note_(fmt::format("validated step {}: loss {:.4f}, perplexity {:.2f}", line.step.value, line.loss,
                        std::exp(line.loss)));
    validation_told_ = std::max(validation_told_, line.step);
  } else if (line.event == JournalEvent::kCheckpointDurable) {
    last_checkpoint_saved_ = last_checkpoint_saved_ || line.step.value >= steps_;
    note_(fmt::format("saved     step {} in {:.2f} s", line.step.value, line.seconds));
  } else if (line.event == JournalEvent::kCheckpointFailed) {
    note_(fmt::format("not saved step {}: {}", line.step.value, line.text));
  } else if (line.event == JournalEvent::kSnapshotFailed || line.event == JournalEvent::kPlanRefused) {
    note_(fmt::format("{} on {}: {}", to_string(line.event), line.node, line.text));
  }
}

void Story::tell_new_epochs(const RunRecord& record) {
  for (const auto& regroup : record.regroups()) {
    if (regroup.total_ms <= 0 && regroup.first_commit_ms <= 0) continue;
    if (!told_commits_.insert(regroup.epoch).second) continue;
    note_(fmt::format(
        "overcome  epoch {}: first commit after {:.0f} ms (stop {:.1f}, agree {:.1f}, move {:.1f}, commit {:.1f}); {} "
        "moved from {}; goes on after step {}, "
        "{} step{} lost{}",
        regroup.epoch.value, regroup.total_ms, regroup.stop_ms, regroup.agree_ms, regroup.move_ms,
        regroup.first_commit_ms, bytes_text(regroup.bytes_moved), regroup.source.empty() ? "nowhere" : regroup.source,
        regroup.step.value, regroup.steps_lost, regroup.steps_lost == 1 ? "" : "s",
        regroup.source == "live" ? "" : ": " + regroup.reason));
  }
}

}  // namespace regroup::cli
