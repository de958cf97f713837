// ranks.hpp: one layout's ranks as threads of this process, each with a mesh of its own over Unix sockets, and the two
// ways to add on each of them.
#pragma once

#include "api/job_spec.hpp"
#include "layout/placement.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::bench {

struct Samples {
  std::vector<double> ms, cpu_ms;  // [round]: until the last rank is done; of all threads
  std::int64_t bytes_moved = 0;    // in a round, by all ranks
  // most that one rank's reduction takes from its pool: accumulators, nodes, buffers of what arrives
  std::int64_t buffer_bytes = 0;
};
struct Compared {
  Samples fixed, arrival;
  std::int64_t gradient_bytes = 0;  // of the rank that keeps most
};

// `directory` (short: sockets lie there) exists and is this call's own. Each round runs both, and which one is first
// alternates. A round that is not counted comes first: its sums are checked; the process ends when one is wrong.
Compared compare(const JobSpec& job, const Placement& placement, int rounds, const std::string& directory);

}  // namespace regroup::bench
