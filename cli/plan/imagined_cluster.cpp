#include "cli/plan/imagined_cluster.hpp"

#include <cstdio>

namespace regroup::cli {

std::vector<planning::Candidate> candidates_of(const ImaginedCluster& cluster, int first_lost, int num_lost) {
  std::vector<planning::Candidate> candidates;
  const char* const address = "tcp:10.100.100.100:40000";  // as long as most are
  for (int node = 0; node < cluster.nodes; ++node) {
    if (node >= first_lost && node < first_lost + num_lost) continue;
    char name[32];
    std::snprintf(name, sizeof name, "node-%05d", node);
    for (int slot = 0; slot < cluster.workers_per_node; ++slot)
      candidates.push_back({WorkerId{NodeId(name), 1, slot, 0}, address, address, name, {}, cluster.memory_bytes});
  }
  return candidates;
}

}  // namespace regroup::cli
