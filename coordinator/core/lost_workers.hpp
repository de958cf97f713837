// lost_workers.hpp: which workers of a plan are lost, by what evidence. Pure.
//
// A worker that dies says nothing about it. Others do: its agent sees the process end, its peers see a connection break
// or fall silent, its node's lease ends in etcd. Any of them may be wrong: a worker whose network fails sees all the
// others fall silent, and an agent may lose etcd while its workers train on. So evidence is weighed.
//
// Example. Of four workers A, B, C and D, D loses its network. A worker that hears nothing from a peer for five
// heartbeats (1 s) reports "silence", so A, B and C report D; D, if it still reaches etcd, reports A, B and C. Which
// report comes first is chance, and if it is D's and is believed at once, three good workers are removed. Therefore one
// reporter of silence alone waits 150 ms for the others. Then six accusations lie there, and removing D explains all of
// them (blame.hpp). Had D's process died instead, no wait would be needed: its agent's word is enough.
//
// Rule. Watched are the members, and the donors until the plan is in force. Evidence, in the order of its weight:
//   the node's record shows another incarnation, a later start of the slot, or that the worker failed or is gone;
//   the worker's own agent says so, or the worker itself;
//   peers say so in this epoch (blame.hpp);
//   the node's key is absent from etcd, we have heard from etcd all that time, and no progress proves the contrary.
// A report from another epoch, by a stranger, or about a worker that is not watched, is no evidence.
//
// Why 150 ms (Timing::silence_window): a worker sends its heartbeats to all peers at once, so when it falls silent its
// peers' five heartbeats end together. What separates their reports is the way through etcd, a matter of milliseconds:
// 150 ms are ample for that, and little beside the second that silence itself takes. Two reporters need no wait.
//
// Why progress excuses absence: a step commits with the vote of every member. A progress record of this epoch that was
// written after the node's key vanished proves that its workers lived then, and only its agent or its way to etcd is
// broken. The proof holds 30 s (Timing::proof_holds): steps may be long, but not for ever.
#pragma once

#include "coordinator/core/cluster_view.hpp"

#include <string>
#include <vector>

namespace regroup::coordinator {

struct LostWorker {
  WorkerId worker;
  Cause cause = Cause::kWorkerLost;
  std::string text;  // "node-2/…/0/0: exit (says node-2)"
  std::int64_t detected_at_ms = 0;
  bool agent_speaks = false;  // its agent is known to live: it said so itself
};

struct LostWorkers {
  std::vector<LostWorker> workers;  // ascending by id
  Epoch spoken_epoch;               // newest epoch in which a watched worker reports: it has entered that one
};

LostWorkers find_lost_workers(const ClusterView& view, const JobRecords& job, const Now& now);

}  // namespace regroup::coordinator
