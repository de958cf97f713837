#include "agent/account.hpp"

#include <algorithm>
#include <cmath>

namespace regroup::agent {
namespace {

// [layer * experts + expert] tokens of one step.
void add_expert_load(metrics::Training& training, const JobSpec& job, const std::vector<std::int64_t>& load) {
  const auto experts = static_cast<std::size_t>(std::max<std::int64_t>(1, job.model.num_local_experts));
  if (load.size() % experts != 0) return;
  training.experts.resize(load.size() / experts);
  for (std::size_t layer = 0; layer < training.experts.size(); ++layer) {
    metrics::ExpertLoad& entry = training.experts[layer];
    entry.tokens.resize(experts);
    std::int64_t sum = 0, heaviest = 0;
    for (std::size_t e = 0; e < experts; ++e) {
      const std::int64_t tokens = load[layer * experts + e];
      entry.tokens[e] += static_cast<std::uint64_t>(tokens);
      sum += tokens;
      heaviest = std::max(heaviest, tokens);
    }
    entry.max_over_mean =
        sum > 0 ? static_cast<double>(heaviest) * static_cast<double>(experts) / static_cast<double>(sum) : 0;
  }
}

void add_commit(metrics::Training& training, const JobSpec* job, const CommitReport& report) {
  training.epoch = std::max(training.epoch, report.epoch.value);
  if (report.step.value > training.step) {  // several workers of one node report the same step
    ++training.steps;
    training.checkpoints_left_out += report.checkpoint_left_out ? 1 : 0;
    training.bad_steps += !std::isfinite(report.grad_norm);
    training.tokens += static_cast<std::uint64_t>(report.tokens);
  }
  training.step = report.step.value;
  training.loss = report.loss;
  training.aux_loss = report.aux_loss;
  training.z_loss = report.z_loss;
  training.bad_in_a_row = report.bad.in_a_row;
  training.grad_norm = report.grad_norm;
  training.learning_rate = report.learning_rate;
  training.step_seconds.observe(report.seconds);
  for (const auto& [phase, seconds] : report.phases) training.phase_seconds[phase].observe(seconds);
  training.rank_load = report.rank_load;
  if (job != nullptr) add_expert_load(training, *job, report.expert_load);
}

void add_regroup(metrics::Training& training, const Plan* plan, const RegroupReport& report, std::int64_t now_ms) {
  ++training.regroups[to_string(report.cause)];
  training.regroup_seconds["stop"].observe(report.stop_ms / 1000);
  training.regroup_seconds["agree"].observe(report.agree_ms / 1000);
  training.regroup_seconds["move"].observe(report.move_ms / 1000);
  training.regroup_seconds["first_commit"].observe(report.first_commit_ms / 1000);
  // clocks of several machines: never below 0
  if (plan != nullptr && plan->epoch == report.epoch && plan->detected_at_ms > 0) {
    training.regroup_seconds["decide"].observe(
        static_cast<double>(std::max<std::int64_t>(0, plan->decided_at_ms - plan->detected_at_ms)) / 1000);
    training.regroup_seconds["total"].observe(
        static_cast<double>(std::max<std::int64_t>(0, now_ms - plan->detected_at_ms)) / 1000);
  }
  training.bytes_moved[report.source] += static_cast<std::uint64_t>(report.bytes_moved);
  training.steps_lost += static_cast<std::uint64_t>(report.steps_lost);
}

void add_saving(metrics::Saving& saving, bool good, std::int64_t bytes, double seconds, Step step,
                std::int64_t now_ms) {
  ++saving.attempts;
  if (!good) {
    ++saving.failures;
    return;
  }
  saving.bytes += static_cast<std::uint64_t>(bytes);
  saving.seconds.observe(seconds);
  saving.last_success_at_ms = now_ms;
  saving.last_step = std::max(saving.last_step, step.value);
}

}  // namespace

void follow(metrics::AgentCounters& counters, const std::string& job) {
  if (counters.training.job == job) return;
  counters.training = {.job = job};
  if (job.empty()) return;  // what was saved of the last one can be read until the next
  counters.snapshots = {};
  counters.checkpoints = {};
}

void account(metrics::AgentCounters& counters, const JobSpec* job, const Plan* plan, const FromWorker& message,
             std::int64_t now_ms) {
  if (const auto* validated = std::get_if<Validated>(&message)) {
    counters.training.validation_step = validated->step.value;
    counters.training.validation_loss = validated->loss;
    if (validated->seconds > 0) counters.training.validation_seconds = validated->seconds;
  }
  if (const auto* committed = std::get_if<Committed>(&message)) add_commit(counters.training, job, committed->report);
  if (const auto* regrouped = std::get_if<Regrouped>(&message))
    add_regroup(counters.training, plan, regrouped->report, now_ms);
  if (const auto* suspects = std::get_if<Suspects>(&message)) {
    for (const Suspicion& suspicion : suspects->suspicions) ++counters.suspicions[suspicion.evidence];
  }
}

void account(metrics::AgentCounters& counters, const SnapshotKept& kept, std::int64_t now_ms) {
  add_saving(counters.snapshots, kept.problem.empty(), kept.bytes, kept.seconds, kept.step, now_ms);
}

void account(metrics::AgentCounters& counters, const CheckpointSaved& saved, std::int64_t now_ms) {
  add_saving(counters.checkpoints, saved.problem.empty(), saved.bytes, saved.seconds, saved.step, now_ms);
}

}  // namespace regroup::agent
