// kills.hpp: one case of the benchmark: so many kills of one kind, at random moments of a training that has recovered
// from the one before.
#pragma once

#include "bench/recovery/running_job.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::bench {

struct Case {
  std::string name;       // kill_worker, kill_node, stop_worker, kill_leader_and_worker
  std::string what;       // for people
  double most_p50_s = 0;  // figures to reach; 0 = none
  double most_p95_s = 0;
};
// With the figures to reach for a model of that many parameters: the column "allowed" of bench/README.md.
std::vector<Case> all_cases(double million_parameters);

struct Kill {
  std::string node;
  std::int64_t step = 0;  // committed by then
  std::int64_t at_ms = 0;
  Epoch epoch;  // that it fell into
  Recovery recovery;
};

struct CaseResult {
  std::vector<Kill> kills;
  double step_s = 0;        // median step of the layout that the first steps ran in
  double whole_step_s = 0;  // ... of the whole cluster
  std::int64_t steps_lost = 0;
  // share of the machine's CPU time that went to others meanwhile; far above 0, the figures say little
  double others_cpu = 0;
};

struct CaseOptions {
  RunningJobOptions cluster;
  int kills = 20;
  std::uint64_t seed = 1;
  std::int64_t node_back_after_ms = 100;  // as a service manager restarts a daemon
};

// kTimeout, kCorrupt (members contradicted each other), kUnavailable (interrupted). Progress goes to standard error.
Result<CaseResult> run_case(const Case& which, const CaseOptions& options);

}  // namespace regroup::bench
