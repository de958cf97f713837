// layout.hpp: equal groups of ranks for a job: dense blocks in even parts, experts in turn, chains in even parts.
#pragma once

#include "api/job_spec.hpp"
#include "layout/placement.hpp"

namespace regroup::bench {

struct GroupsOf {
  int groups = 1;
  int ranks = 1;  // of each group
};

// `groups` is at most job.chains.
Placement even_placement(const JobSpec& job, GroupsOf sizes);

}  // namespace regroup::bench
