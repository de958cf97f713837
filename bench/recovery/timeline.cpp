#include "bench/recovery/timeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace regroup::bench {

void Timeline::add(const cli::JournalLine& line) {
  if (line.event == JournalEvent::kCommitted) {
    const auto [it, is_new] = commits_[line.epoch].try_emplace(line.step, Commit{line.at_ms, line.seconds});
    if (line.at_ms < it->second.at_ms) it->second = {line.at_ms, line.seconds};
  } else if (line.event == JournalEvent::kPlan) {
    plans_.try_emplace(line.epoch, line);
  } else if (line.event == JournalEvent::kRegrouped) {
    reports_[line.epoch].push_back(line);
  }
}

Layout Timeline::layout_of(Epoch epoch) const {
  const auto plan = plans_.find(epoch);
  return plan == plans_.end() ? Layout{} : Layout{plan->second.num_members, plan->second.num_groups};
}

std::optional<Layout> Timeline::layout() const {
  if (commits_.empty()) return std::nullopt;
  return layout_of(commits_.rbegin()->first);
}

int Timeline::commits_in(Epoch epoch) const {
  const auto found = commits_.find(epoch);
  return found == commits_.end() ? 0 : static_cast<int>(found->second.size());
}

double Timeline::median_step_s(Layout layout) const {
  std::vector<double> later, first;
  for (const auto& [epoch, steps] : commits_) {
    if (layout_of(epoch) != layout) continue;
    for (auto step = steps.begin(); step != steps.end(); ++step)
      (step == steps.begin() ? first : later).push_back(step->second.seconds);
  }
  return percentile(later.empty() ? first : later, 0.5);
}

std::optional<Timeline::First> Timeline::first_commit(std::int64_t kill_ms, Epoch before, int members) const {
  std::optional<First> found;
  for (auto it = commits_.upper_bound(before); it != commits_.end(); ++it) {
    if (layout_of(it->first).members < members) continue;
    for (const auto& [step, commit] : it->second) {
      const bool begun_afterwards =
          static_cast<double>(commit.at_ms) - commit.seconds * 1000 >= static_cast<double>(kill_ms);
      if (begun_afterwards && (!found || commit.at_ms < found->commit.at_ms)) found = First{it->first, commit};
    }
  }
  return found;
}

std::optional<std::int64_t> Timeline::first_commit_ms(std::int64_t kill_ms, Epoch before, int members) const {
  const auto first = first_commit(kill_ms, before, members);
  if (!first) return std::nullopt;
  return first->commit.at_ms;
}

Phases Timeline::phases_of(Epoch epoch, std::int64_t kill_ms, std::int64_t commit_ms, double step_s) const {
  Phases phases;
  const auto plan = plans_.find(epoch);
  const auto reports = reports_.find(epoch);
  if (plan == plans_.end() || reports == reports_.end()) return phases;
  std::int64_t seen_ms = 0;
  for (const cli::JournalLine& report : reports->second) {
    seen_ms = std::max(seen_ms, report.plan_seen_at_ms);
    phases.agree_ms = std::max(phases.agree_ms, report.agree_ms);
    phases.move_ms = std::max(phases.move_ms, report.move_ms);
  }
  const std::int64_t detected = std::max(kill_ms, plan->second.detected_at_ms), decided = plan->second.decided_at_ms;
  phases.detect_ms = static_cast<double>(detected - kill_ms);
  phases.decide_ms = static_cast<double>(decided - detected);
  phases.stop_ms = static_cast<double>(std::max<std::int64_t>(0, seen_ms - decided));
  phases.first_ms = static_cast<double>(commit_ms - kill_ms) - step_s * 1000 - phases.detect_ms - phases.decide_ms -
                    phases.stop_ms - phases.agree_ms - phases.move_ms;
  return phases;
}

std::optional<Recovery> Timeline::recovery(std::int64_t kill_ms, Epoch before) const {
  const auto first = first_commit(kill_ms, before, 0);
  const auto whole = first_commit(kill_ms, before, layout_of(before).members);
  if (!first || !whole) return std::nullopt;
  Recovery out;
  out.layout = layout_of(first->epoch);
  out.step_s = median_step_s(out.layout);
  out.recovery_s = static_cast<double>(first->commit.at_ms - kill_ms) / 1000 - out.step_s;
  out.whole_s = static_cast<double>(whole->commit.at_ms - kill_ms) / 1000;
  out.plans = static_cast<int>(std::distance(plans_.upper_bound(before), plans_.upper_bound(first->epoch)));
  if (const auto plan = plans_.find(first->epoch); plan != plans_.end()) out.cause = kCauseWords(plan->second.cause);
  if (const auto reports = reports_.find(first->epoch); reports != reports_.end() && !reports->second.empty())
    out.source = kStateSourceWords(reports->second.front().source);
  out.phases = phases_of(first->epoch, kill_ms, first->commit.at_ms, out.step_s);
  return out;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

}  // namespace regroup::bench
