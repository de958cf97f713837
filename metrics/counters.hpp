// counters.hpp: what the daemons count, as plain values. Filled by the shells and cores, read at a scrape; nothing here
// knows Prometheus.
//
// Names and units are those of the exported metrics (see README.md). Not synchronised: the owner guards its struct
// (base/guarded.hpp).
#pragma once

#include "base/evidence.hpp"
#include "base/state_source.hpp"
#include "base/step_phase.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace regroup::metrics {

// Upper bounds in seconds, chosen around the figures that we promise (0.1 s, 0.3 s, 1 s, 4 s). A value above the last
// one counts in sum and count only.
inline constexpr std::array<double, 12> kBuckets{0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 4.0, 15.0, 60.0};

struct Histogram {
  std::array<std::uint64_t, kBuckets.size()> counts{};  // in each bucket alone, not cumulative
  std::uint64_t count = 0;
  double sum = 0;

  void observe(double seconds) {
    ++count;
    sum += seconds;
    for (std::size_t i = 0; i < kBuckets.size(); ++i) {
      if (seconds > kBuckets[i]) continue;
      ++counts[i];
      return;
    }
  }
};

// The words that label a metric. Fixed, so that each series exists from the start with 0 and a rate sees its first
// event. decide, total: from the first evidence
inline constexpr std::array<const char*, 6> kRegroupPhases{"decide", "stop", "agree", "move", "first_commit", "total"};

// Loads of the experts of one layer: what the last step routed to each, in tokens, and the heaviest over the mean.
struct ExpertLoad {
  std::vector<std::uint64_t> tokens;  // in total since the start, by expert
  double max_over_mean = 0;           // of the last step
};

// One kind of saving: snapshots in memory, or durable checkpoints.
struct Saving {
  std::uint64_t attempts = 0;
  std::uint64_t failures = 0;
  std::uint64_t bytes = 0;
  Histogram seconds;
  std::int64_t last_success_at_ms = 0;  // wall clock; 0 = never
  std::int64_t last_step = -1;
};

// What an agent knows of the job it works for, from its workers' reports.
struct Training {
  std::string job;  // empty = none
  std::uint64_t epoch = 0;
  std::uint64_t steps = 0;                 // committed, seen by this agent
  std::uint64_t bad_steps = 0;             // of them, those whose gradients were not finite
  std::int64_t bad_in_a_row = 0;           // up to the last one
  std::uint64_t checkpoints_left_out = 0;  // not begun, because an earlier one was still being written
  std::uint64_t steps_lost = 0;            // computed again after a rollback
  std::uint64_t tokens = 0;
  std::int64_t step = 0;  // number of the last committed one
  double loss = 0;
  double aux_loss = 0;
  double z_loss = 0;
  double grad_norm = 0;
  double learning_rate = 0;
  std::int64_t validation_step = -1;  // -1: none yet
  double validation_loss = 0;
  double validation_seconds = 0;
  Histogram step_seconds;
  std::map<StepPhase, Histogram> phase_seconds;
  std::map<std::string, std::uint64_t> regroups;     // by cause
  std::map<std::string, Histogram> regroup_seconds;  // by kRegroupPhases
  std::map<StateSource, std::uint64_t> bytes_moved;
  std::vector<ExpertLoad> experts;  // by layer
  double rank_load = 1;             // heaviest rank of the group over its mean, in the last step
};

struct AgentCounters {
  Training training;
  int workers = 0;  // running now
  std::uint64_t worker_starts = 0;
  std::uint64_t worker_failures = 0;  // ended without being asked to
  std::map<Evidence, std::uint64_t> suspicions;
  std::uint64_t lease_losses = 0;
  bool registered = false;
  bool draining = false;
  Saving snapshots;
  Saving checkpoints;
};

struct JobCounters {
  std::uint64_t epoch = 0;
  int members = 0;
  int groups = 0;
  int spares = 0;
  bool waiting = false;
  std::int64_t step = 0;                       // newest that progress reports name
  std::map<std::string, std::uint64_t> plans;  // published by this coordinator, by cause
  Histogram decide_seconds;                    // first evidence -> plan published
};

struct CoordinatorCounters {
  bool leading = false;
  std::uint64_t leaderships = 0;  // gained
  int nodes = 0;                  // registered
  int free_nodes = 0;
  std::uint64_t plans_published = 0;
  std::uint64_t plan_conflicts = 0;  // somebody else was first
  std::uint64_t store_errors = 0;
  bool store_connected = false;
  std::map<std::string, JobCounters> jobs;  // by name; removed when the job is
};

}  // namespace regroup::metrics
