// newcomers.hpp: workers of a job that are in no plan yet, and which of them may become members. Pure; a part of
// decide.
//
// A newcomer starts, becomes ready (it has an address), then warm (it is connected to every member of the current
// plan). Only warm ones join a job that trains, because the others would make it wait.
#pragma once

#include "coordinator/core/cluster_view.hpp"
#include "coordinator/core/roster.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace regroup::coordinator {

struct Newcomers {
  std::vector<Participant> ready;  // has an address; in no plan
  std::vector<Participant> warm;   // ... and is connected to every member of the current plan
  std::size_t on_the_way = 0;      // starting, or not warm yet
  bool all_ready = true;           // every slot of every usable node has a ready worker
};

// A worker whose fingerprint (software and hardware) differs from the members' is refused, and named in `notes`.
Newcomers find_newcomers(const ClusterView& view, const JobRecords& job, const Roster& roster,
                         std::vector<std::string>& notes);

}  // namespace regroup::coordinator
