// replicas.hpp: do the groups of a job, each of which holds all of its state, hold the same? Pure.
#pragma once

#include "base/result.hpp"
#include "checkpoint/core/manifest.hpp"

#include <span>

namespace regroup::checkpoint {

// kCorrupt, naming step, first unit and groups, when they do not. Records of all parts of one save. A group of which
// some part is not known is not compared.
Result<void> check_replicas(std::span<const PartRecord> parts);

}  // namespace regroup::checkpoint
