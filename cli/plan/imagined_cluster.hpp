// imagined_cluster.hpp: nodes that nobody has, for the real planner.
#pragma once

#include "coordinator/planner/planner.hpp"

#include <cstdint>
#include <vector>

namespace regroup::cli {

inline constexpr int kMostWorkers = 16384;

struct ImaginedCluster {
  int nodes = 1;
  int workers_per_node = 1;
  std::int64_t memory_bytes = 0;  // of one worker; 0: no limit
};

// All of its workers, but those of `num_lost` nodes from `first_lost` on.
std::vector<planning::Candidate> candidates_of(const ImaginedCluster& cluster, int first_lost, int num_lost);

}  // namespace regroup::cli
