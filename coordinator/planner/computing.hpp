// computing.hpp: which workers compute; the others are spares. Pure; a part of the planner.
//
// A worker that computes needs memory for its share of one copy of the state, and a microbatch to compute. While the
// smallest of the workers has too little memory for one copy divided among all of them, the smallest drop out. More
// workers than microbatches would leave some without work: then those that hold state come first, then those that were
// in a group, then earlier ranks.
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

// Why nobody computes, for the case that one copy does not fit.
std::string too_little_memory(const World& world, const JobSpec& job);

}  // namespace regroup::planning
