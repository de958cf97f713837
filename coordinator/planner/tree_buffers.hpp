// tree_buffers.hpp: how many gradients of its share a worker holds at once while the reduction tree is summed. Pure; a
// part of memory_need.
//
// Per shard there is one accumulator for the chain that is being added up, and one node for each level of the tree that
// waits for its other half; nodes of other groups have their buffers from the start of the step. In the last wave a
// unit's backward is followed by its last joins at once, and the next unit takes the buffers that these set free.
#pragma once

#include "api/job_spec.hpp"

namespace regroup::planning {

struct TreeBuffers {
  int of_all = 0;    // of every shard at once
  int of_dense = 0;  // one more of the dense shards: groups may cut these differently, and their sum is in neither's
  int at_work = 0;   // more of the units whose gradients the last wave is adding
};

// The most that a member of one of `groups` groups of `members` ranks holds.
TreeBuffers tree_buffers(const JobSpec& job, int members, int groups);

}  // namespace regroup::planning
