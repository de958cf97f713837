// bytes.hpp: what the regroups of a run moved, against the fewest bytes that could have. Pure.
//
// Bound of a regroup: sum over the ranks of the new plan of max(0, balanced share - what this worker held in the plan
// before), dense blocks and experts apart. What a lost worker held is nobody's. Moved: what the members received, less
// what came from snapshots on the receiver's own node: after a loss survivors may have to go back to the step of the
// last snapshot, and have it there.
#pragma once

#include "api/job_spec.hpp"
#include "api/plan.hpp"
#include "cli/local/run_record.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace regroup::bench {

std::int64_t fewest_bytes(const JobSpec& job, const Plan& before, const Plan& after);

struct MovedBytes {
  int regroups = 0;
  std::int64_t moved = 0, from_own_agents = 0, bound = 0;  // of all of them
  double worst = 0;                                        // ratio of one
  [[nodiscard]] double ratio() const {
    return bound > 0 ? static_cast<double>(moved) / static_cast<double>(bound) : moved > 0 ? kUnbounded : 1;
  }
  static constexpr double kUnbounded = 1e9;  // bytes where none were needed
};

// By cause. Of the regroups whose parent is known too and whose members held what it says: it was in force.
std::map<std::string, MovedBytes> moved_by_cause(const JobSpec& job, const std::vector<cli::RegroupRecord>& regroups,
                                                 const std::map<Epoch, Plan>& plans);

}  // namespace regroup::bench
