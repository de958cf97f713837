// rebalance.hpp: whether experts shall change places because some get more tokens than others, and the plan in which
// they do. Pure; level-triggered, a part of decide.
//
// Worth it when the planner places experts by load at all (even_out.hpp), and when the steps that are left, up to ten
// minutes of them, save more time than the move takes: experts are taken as half of a step's time, the move as 1 GB/s
// for each rank and one second for the regroup. Looked at once for each load that an agent writes.
#pragma once

#include "coordinator/core/cluster_view.hpp"
#include "coordinator/planner/even_out.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace regroup::coordinator {

// What is remembered between two looks.
struct LoadMemory {
  int moves = 0;               // plans by load in a row, that is, among the same members
  std::int64_t looked_at = 0;  // mod revision of the load that `finding` is about
  std::string finding;         // why experts stay where they are, when there is something to gain
};

struct LoadMove {
  planning::RankLoad load;  // `lasting` counts
  std::int64_t bytes = 0;   // to move
  int ranks = 1;            // that hold state
  double step_seconds = 0;
  std::int64_t steps_left = 0;
};
double seconds_saved(const LoadMove& move);
double seconds_spent(const LoadMove& move);

// The plan, when it is time and worth it; `memory` says else. `job.plan` is in force, and nothing else is to be done.
std::optional<Plan> rebalance(const ClusterView& view, const JobRecords& job, LoadMemory& memory, const Now& now);

}  // namespace regroup::coordinator
