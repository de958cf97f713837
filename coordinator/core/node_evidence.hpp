// node_evidence.hpp: what the record of a worker's node, or its absence, says about the worker. Pure; a part of
// lost_workers, which says how it is weighed.
#pragma once

#include "coordinator/core/cluster_view.hpp"

#include <optional>
#include <string>

namespace regroup::coordinator {

struct NodeEvidence {
  Cause cause = Cause::kNodeLost;
  std::string what;
  bool agent_speaks = false;  // its agent is known to live: the record says so
};

// That the worker, of the job's plan, is lost. `names_itself`: a fault that its record tells is weighed with the
// others'.
std::optional<NodeEvidence> evidence_of_node(const ClusterView& view, const JobRecords& job, const WorkerId& worker,
                                             bool names_itself, const Now& now);

// The worker that a suspect record's reporter is; none when it is an agent.
std::optional<WorkerId> worker_named(std::string reporter);

}  // namespace regroup::coordinator
