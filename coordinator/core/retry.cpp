#include "coordinator/core/retry.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace regroup::coordinator {
namespace {

constexpr std::array<Span, 5> kPauses{Span{0}, Span{250}, Span{500}, Span{1000}, Span{2000}};
constexpr int kMostFaults = 2;  // in a row; then the job has failed

// Of the plan, or of the plan before it where nobody can have entered it yet.
std::vector<Participant> who_counts(const Look& look, const LostWorkers& lost, Epoch& epoch) {
  const Plan& plan = look.job.plan->value;
  epoch = plan.epoch;
  std::vector<Participant> all = plan.members;
  if (!look.job.is_in_force()) all.insert(all.end(), plan.donors.begin(), plan.donors.end());
  if (look.job.is_pending() && lost.spoken_epoch != plan.epoch) epoch = plan.parent;
  return all;
}

std::string why_retry(const Look& look, const LostWorkers& lost) {
  if (!lost.fault_of_all.empty()) return lost.fault_of_all;
  if (!lost.links.empty()) {
    const auto& [one, other] = lost.links.front();
    return "the connection of " + to_string(one) + " and " + to_string(other) + " broke and is there again";
  }
  Epoch epoch;
  for (const Participant& one : who_counts(look, lost, epoch)) {
    const WorkerRecord* record = look.view.slot_of(one.worker);
    const bool waits = record != nullptr && record->id == one.worker && record->state == WorkerState::kWaiting;
    if (!waits || record->epoch != epoch || record->lacks) continue;
    if (look.now.at - look.view.state_since(*record, look.now) >= look.view.timing().stuck_wait)
      return one.worker.node.value + " waits for " + record->text;
  }
  return {};
}

}  // namespace

bool try_again(Look& look, const LostWorkers& lost) {
  if (lost.undecided) return false;
  const std::string why = why_retry(look, lost);
  if (why.empty()) return false;
  const bool committed = look.job.has_committed(look.job.plan->value.epoch);
  const Plan& before = look.job.plan->value;
  const int retries = committed ? 0 : before.retries;
  const int faults = (committed ? 0 : before.faults) + (lost.fault_of_all.empty() ? 0 : 1);
  if (faults > kMostFaults) {
    look.decision.failure = why + "; it came again from live state, and again from a snapshot or a checkpoint";
    look.say(JobState::kRegrouping, look.decision.failure);
    return true;
  }
  const Span pause = kPauses[std::min(static_cast<std::size_t>(retries), kPauses.size() - 1)];
  if (look.now.at - look.job.plan->last_changed < pause) {
    look.say(JobState::kRegrouping,
             why + "; the same workers try again after a pause of " + std::to_string(pause.count()) + " ms");
    return true;
  }
  Plan plan = make_again(look.view, look.job, look.agents(), look.now);
  plan.retries = retries + 1;
  plan.faults = faults;
  plan.reason = why + "; the same " + count(plan.members.size(), "worker") + " once more" +
                (faults > 1 ? ", from a snapshot or a checkpoint" : "");
  look.say(JobState::kRegrouping, plan.reason);
  look.decision.plan = std::move(plan);
  return true;
}

}  // namespace regroup::coordinator
