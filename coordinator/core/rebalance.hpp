// rebalance.hpp: whether experts shall change places because some get more tokens than others, and the plan in which
// they do. Pure; a part of decide.
//
// Moving experts costs time now and saves time in every later step. It is done when the planner finds a better
// placement that lasts (even_out.hpp), and when the steps that are left, counted for at most ten minutes, save more
// than the move takes. Taken for granted: experts are half of a step's time, a rank receives 1 GB/s, a regroup takes
// one second. Each load that an agent writes is looked at once.
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

// The plan, when it is time and worth while. Else nothing, and memory.finding says why, if there is something to gain.
// Asked only when job.plan is in force and no other change is due.
std::optional<Plan> rebalance(const ClusterView& view, const JobRecords& job, LoadMemory& memory, const Now& now);

}  // namespace regroup::coordinator
