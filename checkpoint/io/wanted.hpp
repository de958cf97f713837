// wanted.hpp: which checkpoint a job goes on from.
#pragma once

#include "api/job_spec.hpp"
#include "checkpoint/io/catalog.hpp"

namespace regroup::checkpoint {

// Its data and weights are pinned.
CheckpointWanted wanted_by(const JobSpec& job);

}  // namespace regroup::checkpoint
