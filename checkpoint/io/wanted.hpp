// wanted.hpp: which checkpoint a job goes on from.
#pragma once

#include "api/job_spec.hpp"
#include "checkpoint/io/catalog.hpp"

namespace regroup::checkpoint {

// Its data and weights are pinned.
CheckpointWanted wanted_by(const JobSpec& job);

// Why a worker with this fingerprint may not go on from it: its bits would be others from there on. Empty: it may.
std::string computed_elsewhere(const Manifest& manifest, const JobSpec& job, const std::string& fingerprint);

}  // namespace regroup::checkpoint
