#include "cli/local/run_record.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace regroup::cli {
namespace {

// Does a plan with this cause answer an event of this kind?
bool answers(std::optional<Cause> cause, Deed deed) {
  switch (deed) {
    case Deed::kJoin:
      return cause == Cause::kJoin;
    case Deed::kDrain:
      return cause == Cause::kDrain;
    case Deed::kScale:
      return cause == Cause::kScale || cause == Cause::kJoin;
    case Deed::kKillWorker:
    case Deed::kStopWorker:
    case Deed::kKillNode:
    case Deed::kStopNode:
      return cause && is_loss(*cause);
    case Deed::kRestartAll:
      return true;
    case Deed::kKillCoordinator:
    case Deed::kStopEtcd:
    case Deed::kFreezeEtcd:
      return false;
  }
  return false;
}

bool has_node(const JournalLine& plan, const std::string& node) {
  return std::any_of(plan.members.begin(), plan.members.end(),
                     [&](const std::string& member) { return member.rfind(node + "/", 0) == 0; });
}

bool same_bits(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

void RunRecord::add(const JournalLine& line) {
  if (line.event == JournalEvent::kCommitted) {
    auto& by_epoch = commits_[line.step];
    for (const auto& [epoch, commit] : by_epoch) {
      if (!same_bits(commit.loss, line.loss) || !same_bits(commit.aux_loss, line.aux_loss) ||
          !same_bits(commit.z_loss, line.z_loss))
        contradiction_ = "the loss of step " + std::to_string(line.step.value) + " is another on " + line.worker +
                         " (epoch " + std::to_string(line.epoch.value) + ") than what was committed first (epoch " +
                         std::to_string(epoch.value) + ")";
    }
    const auto [it, is_new] = by_epoch.try_emplace(
        line.epoch, Commit{line.at_ms, line.loss, line.aux_loss, line.z_loss, line.tokens, line.bad_in_a_row > 0});
    it->second.at_ms = std::min(it->second.at_ms, line.at_ms);
    auto [first, unknown] = first_commit_of_.try_emplace(line.epoch, line.at_ms);
    first->second = std::min(first->second, line.at_ms);
    if (is_new) commit_times_.push_back(line.at_ms);
    if (first_commit_at_ms_ == 0 || line.at_ms < first_commit_at_ms_) first_commit_at_ms_ = line.at_ms;
    last_commit_at_ms_ = std::max(last_commit_at_ms_, line.at_ms);
    newest_ = std::max(newest_, line.step);
    newest_epoch_ = std::max(newest_epoch_, line.epoch);
  } else if (line.event == JournalEvent::kValidated) {
    const auto [it, is_new] = validations_.try_emplace(line.step, line.loss);
    if (!same_bits(it->second, line.loss))
      contradiction_ = "the validation loss after step " + std::to_string(line.step.value) + " is another on " +
                       line.worker + " than what was said first";
  } else if (line.event == JournalEvent::kPlan) {
    plans_.try_emplace(line.epoch, line);
  } else if (line.event == JournalEvent::kRegrouped) {
    reports_[line.epoch][line.worker] = line;
  } else if (line.event == JournalEvent::kFinished) {
    if (!weights_sha256_.empty() && weights_sha256_ != line.weights_sha256)
      contradiction_ =
          line.worker + " finished with the digest " + line.weights_sha256 + ", another with " + weights_sha256_;
    weights_sha256_ = line.weights_sha256;
    finished_step_ = line.step;
  }
}

double RunRecord::newest_loss() const { return commits_.empty() ? 0 : commits_.rbegin()->second.begin()->second.loss; }

std::int64_t RunRecord::first_loss_step() const { return commits_.empty() ? 1 : commits_.begin()->first.value; }

std::vector<std::int64_t> RunRecord::bad_steps() const {
  std::vector<std::int64_t> steps;
  for (const auto& [step, by_epoch] : commits_)
    if (by_epoch.begin()->second.bad) steps.push_back(step.value);
  return steps;
}

std::vector<double> RunRecord::of_each_step(double Commit::*value) const {
  if (commits_.empty()) return {};
  const std::int64_t first = first_loss_step();
  std::vector<double> values(static_cast<std::size_t>(newest_.value - first + 1),
                             std::numeric_limits<double>::quiet_NaN());
  for (const auto& [step, by_epoch] : commits_)
    values[static_cast<std::size_t>(step.value - first)] = by_epoch.begin()->second.*value;
  return values;
}

// A step was lost if it was committed, an epoch later went on from before it, and committed it again.
std::int64_t RunRecord::steps_lost_in(Epoch epoch, Step went_on_from) const {
  std::int64_t lost = 0;
  for (auto it = commits_.upper_bound(went_on_from); it != commits_.end(); ++it)
    lost += it->second.count(epoch) == 1 && it->second.begin()->first < epoch;
  return lost;
}

std::int64_t RunRecord::steps_lost() const {
  std::int64_t lost = 0;
  for (const auto& regroup : regroups()) lost += regroup.steps_lost;
  return lost;
}

double RunRecord::tokens_per_second() const {
  // The first commit ends a step whose begin is unknown: its tokens are left out.
  std::int64_t tokens = 0;
  for (const auto& [step, by_epoch] : commits_)
    tokens += by_epoch.begin()->second.at_ms == first_commit_at_ms_ ? 0 : by_epoch.begin()->second.tokens;
  const auto ms = last_commit_at_ms_ - first_commit_at_ms_;
  return ms > 0 ? static_cast<double>(tokens) * 1000 / static_cast<double>(ms) : 0;
}

double RunRecord::recent_tokens_per_second(std::int64_t now_ms) const {
  if (commits_.empty()) return 0;
  const std::int64_t from = std::max(now_ms - 5000, first_commit_at_ms_);
  std::int64_t tokens = 0;
  for (auto it = commits_.rbegin(); it != commits_.rend(); ++it) {
    const Commit& commit = it->second.begin()->second;
    if (commit.at_ms <= from) break;
    tokens += commit.tokens;
  }
  return now_ms > from ? static_cast<double>(tokens) * 1000 / static_cast<double>(now_ms - from) : 0;
}

// Joins are answered by the first later plan that has their node, several by one. Each other event by the first plan
// decided after it whose cause fits and that answers no earlier event.
std::map<std::size_t, Epoch> RunRecord::match_injected() const {
  std::map<std::size_t, Epoch> matched;
  std::set<Epoch> taken;
  for (std::size_t i = 0; i < injected_.size(); ++i) {
    for (const auto& [epoch, plan] : plans_) {
      if (injected_[i].deed == Deed::kJoin) {
        if (plan.decided_at_ms < injected_[i].at_ms || !has_node(plan, injected_[i].what)) continue;
        matched[i] = epoch;
        break;
      }
      if (taken.count(epoch) == 1 || plan.decided_at_ms < injected_[i].at_ms || !answers(plan.cause, injected_[i].deed))
        continue;
      matched[i] = epoch;
      taken.insert(epoch);
      break;
    }
  }
  return matched;
}

std::vector<RegroupRecord> RunRecord::regroups() const {
  std::map<Epoch, std::int64_t> event_at;
  // the earliest
  for (const auto& [index, epoch] : match_injected()) event_at.try_emplace(epoch, injected_[index].at_ms);
  std::vector<RegroupRecord> out;
  for (const auto& [epoch, by_worker] : reports_) {
    RegroupRecord record;
    record.epoch = epoch;
    for (const auto& [worker, report] : by_worker) {
      record.cause = report.cause;
      record.reason = report.reason;
      record.members = std::max(record.members, report.num_members);
      record.step = report.step;
      record.stop_ms = std::max(record.stop_ms, report.stop_ms);
      record.agree_ms = std::max(record.agree_ms, report.agree_ms);
      record.move_ms = std::max(record.move_ms, report.move_ms);
      record.first_commit_ms = std::max(record.first_commit_ms, report.first_commit_ms);
      record.bytes_moved += report.bytes_moved;
      record.steps_lost = std::max(record.steps_lost, report.steps_lost);
      record.bytes_from_own_agents += report.bytes_from_own_agent;
      if (const std::string source = kStateSourceWords(report.source); record.source.find(source) == std::string::npos)
        record.source += (record.source.empty() ? "" : "+") + source;
    }
    const auto plan = plans_.find(epoch);
    if (plan != plans_.end()) {
      const std::int64_t detected = plan->second.detected_at_ms, decided = plan->second.decided_at_ms;
      const auto event = event_at.find(epoch);
      if (event != event_at.end() && detected > event->second)
        record.detect_ms = static_cast<double>(detected - event->second);
      if (detected > 0 && decided > detected) record.decide_ms = static_cast<double>(decided - detected);
      std::int64_t from = detected > 0 ? detected : decided;
      if (event != event_at.end()) from = std::min(from, event->second);
      if (const auto first = first_commit_of_.find(epoch); first != first_commit_of_.end() && first->second > from)
        record.total_ms = static_cast<double>(first->second - from);
    }
    record.steps_lost = std::max(record.steps_lost, steps_lost_in(epoch, record.step));
    out.push_back(std::move(record));
  }
  return out;
}

std::vector<EventRow> RunRecord::event_rows(const std::vector<RegroupRecord>& regroups) const {
  const auto matched = match_injected();
  std::vector<EventRow> rows;
  for (std::size_t i = 0; i < injected_.size(); ++i) {
    EventRow row{injected_[i]};
    if (const auto found = matched.find(i); found != matched.end())
      for (const auto& regroup : regroups)
        if (regroup.epoch == found->second) row.regroup = &regroup;
    std::int64_t next = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t at : commit_times_)
      if (at > injected_[i].at_ms) next = std::min(next, at);
    if (next != std::numeric_limits<std::int64_t>::max())
      row.next_commit_ms = static_cast<double>(next - injected_[i].at_ms);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace regroup::cli
