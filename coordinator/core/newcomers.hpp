// newcomers.hpp: workers of a job that are in no plan yet, and who of them may become a member. Pure; a part of decide.
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

// Who is refused because its fingerprint is not the members' is named in `notes`.
Newcomers find_newcomers(const ClusterView& view, const JobRecords& job, const Roster& roster,
                         std::vector<std::string>& notes);

}  // namespace regroup::coordinator
