// computing.hpp: which workers compute: those that have the memory for their share of one copy, at most one a
// microbatch. Pure; a part of the planner.
//
// The smallest workers drop out until the rest can carry one copy among them. Of those, workers that hold state come
// first, then earlier ranks; the others are spares.
#pragma once

#include "coordinator/planner/planner_world.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::planning {

struct Computing {
  std::vector<int> ranks;         // ascending; none when one copy does not fit
  int num_able = 0;               // ranks with the memory for it, spares included
  std::int64_t least_memory = 0;  // of those
};

Computing choose_computing(const World& world, const JobSpec& job);

// Why there are none.
std::string too_little_memory(const World& world, const JobSpec& job);

}  // namespace regroup::planning
