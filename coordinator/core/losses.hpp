// losses.hpp: which workers of a plan are lost, by what evidence. Pure.
//
// Watched are the members, and the donors until the plan is in force. Evidence, in the order of its weight:
//   the node's record shows another incarnation, a later start of the slot, or the worker failed or gone;
//   the worker's own agent says so, or the worker itself; peers say so (blame.hpp) in this epoch;
//   the node's key is absent: only after an uninterrupted session, and not while newer progress proves every member
//   alive.
// A report of another epoch, by a stranger, or about a worker that is not watched, is no evidence.
#pragma once

#include "coordinator/core/cluster_view.hpp"

#include <string>
#include <vector>

namespace regroup::coordinator {

struct Loss {
  WorkerId worker;
  std::string cause;  // worker_lost, node_lost, silent, hang, fault
  std::string text;   // "node-2/…/0/0: exit (says node-2)"
  std::int64_t detected_at_ms = 0;
  bool agent_speaks = false;  // its agent is known to live: it said so itself
};

struct Losses {
  std::vector<Loss> lost;  // ascending by worker
  bool undecided = false;  // a report waits for others, for a few ms
  Epoch spoken_epoch;      // newest epoch in which a watched worker reports: it has entered that one
};

Losses find_losses(const ClusterView& view, const JobRecords& job, const Now& now);

}  // namespace regroup::coordinator
