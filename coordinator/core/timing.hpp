// timing.hpp: how long is long: every wait of the coordinator's core is one of these.
#pragma once

#include "base/now.hpp"

namespace regroup::coordinator {

struct Timing {
  // When a node that is absent from etcd is lost.
  Span lease{3000};           // of nodes/<id>
  Span session_margin{1000};  // absence counts only after etcd has answered us without a gap for lease + margin
  Span absence_grace{1500};   // ... and after this much of absence
  Span proof_holds{30000};    // progress of the epoch after the absence began excuses it for this long
  Span contact_gap{1000};     // a longer silence of etcd ends the session

  // How long a plan waits for more workers to come.
  Span start_wait{2000};      // first plan: from the first ready worker on
  Span join_batch{300};       // joiners that come close together join together
  Span rebalance_wait{5000};  // a worker on its way is waited for before redundancy is restored without it
  Span stuck_wait{1000};      // the members all wait for a source of state: then newcomers are asked for theirs
  // A plan is in force for this long before experts are moved by their load; twice as long after each such move among
  // the same members.
  Span load_wait{10000};
  Span arrival_wait{20000};  // ... and a worker on its way, which would change them, is waited for; it may never come

  Span stop_wait{5000};     // a job that shall stop and save first ends unsaved after this long without training
  Span stop_limit{300000};  // ... and after this long in any case
  Span end_wait{10000};     // a lost worker that no plan can do without may come back for this long
  Span retry{200};          // after a refused or failed write
  Span scan_again{5000};    // a checkpoint directory that cannot be used is looked at again
  Span last_work{5000};     // a finished job's workers get this to compute the digest and keep the last snapshot
  Span forget_node{60000};  // an absent node keeps its assignment this long

  int keep_plans = 16;  // keys plan/<epoch>, and keys of the checkpoint index, that a job keeps
};

}  // namespace regroup::coordinator
