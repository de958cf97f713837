// lost_workers.hpp: which workers of a plan are lost, by what evidence. Pure.
//
// A worker that dies says nothing about it. Others do: its agent sees the process end, its peers see a connection break
// or fall silent, its node's lease ends in etcd. Any of them may be wrong: a worker whose network fails sees all the
// others fall silent, and an agent may lose etcd while its workers train on. So evidence is weighed.
//
// Example. Of four workers A, B, C and D, D loses its network. A worker that hears nothing from a peer for five
// heartbeats (1 s) reports "silence", so A, B and C report D; D, if it still reaches etcd, reports A, B and C. Which
// report comes first is chance, and if it is D's and is believed at once, three good workers are removed. Therefore one
// voice alone waits for the others. Then six accusations lie there, and removing D explains all of them (blame.hpp).
// Had D's process died instead, no wait would be needed: its agent's word is enough.
//
// Rule. Watched are the members, and the donors until the plan is in force. Evidence, in the order of its weight:
//   the node's record shows another incarnation, a later start of the slot, or that the worker failed or is gone;
//   the worker's own agent says so;
//   the worker itself, when five heartbeats have passed and not all members say it of themselves (then it is nobody's
//   fault: `fault_of_all`);
//   peers say so in this epoch (blame.hpp);
//   the node's key is absent from etcd, we have heard from etcd all that time, and nothing proves the contrary.
// A report from another epoch, by a stranger, or about a worker that is not watched, is no evidence. Nor is a `link`:
// it says that the peer lives, and asks for a retry; unless the pair's connection breaks again and again
// (`LinkHistory`), then it counts as ended. `unreachable` counts when it has stood for ten heartbeats: the others may
// be slow to dial.
//
// What excuses absence. A step commits with the vote of every member: a progress record of this epoch that was written
// after the node's key vanished proves that its workers lived then. The proof holds 30 s (Timing::proof_holds): steps
// may be long, but not for ever. And peers that train with it hear its beats: while one of them on a node that is there
// does not accuse it, it lives, and only its agent or its way to etcd is broken. But not when a plan waits that it
// cannot see without its agent.
#pragma once

#include "coordinator/core/cluster_view.hpp"
#include "coordinator/core/link_history.hpp"

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
  bool undecided = false;           // somebody is accused, and it is not clear yet who goes
  std::vector<BrokenLink> links;    // that broke in this epoch and are there again: a retry is asked for
  std::string fault_of_all;         // every member names itself: what one of them says; else empty
};

LostWorkers find_lost_workers(const ClusterView& view, const JobRecords& job, const LinkHistory& history,
                              const Now& now);

}  // namespace regroup::coordinator
