// tidying.hpp: which keys of a job nobody will read again. Pure.
//
// Wishes that are done or overtaken. Loads but the newest: they are of agents that had rank 0 before. While a plan is
// in force, progress of nodes that are neither there nor in it, but for the newest by epoch and step, and for one that
// says how its node ended. Each of these only as it was read. And two lists grow without end, a job's plans and the
// index of its checkpoints: once one has 32 entries its oldest are removed, so that 16 stay (Timing::keep_plans), in
// one transaction for every 16 additions; of plans above 256 KiB fewer, down to 4 of 8: every agent reads them when it
// begins. Nothing is lost with them. Of older plans only the current one's parent is read again (recover.cpp). Of the
// index only the newest checkpoint goes into plans; the directory is the truth, and which of its files are deleted is
// decided by the agents, not here.
#pragma once

#include "coordinator/core/cluster_view.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regroup::coordinator {

// In one transaction.
struct Removal {
  std::vector<std::string> keys;             // at least one
  std::optional<std::int64_t> mod_revision;  // only if the first key still has it
  const char* reason;
};

std::vector<Removal> removals(const ClusterView& view, const JobRecords& job);

}  // namespace regroup::coordinator
