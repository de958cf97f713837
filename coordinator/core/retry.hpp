// retry.hpp: the same plan once more, because an attempt at it was interrupted although nobody is lost. Pure; a part of
// decide.
//
// A worker that is interrupted (a connection broke, a snapshot could not be fetched, a peer did not come in time)
// cannot mend that alone: the others are in the middle of the same exchange. It stops and says so, and the others wait
// for it. Who could be blamed may be back already, so no accusation need follow. Therefore its waiting is itself the
// request: the members get a new epoch, drop what they were doing, and do it again from what they hold.
//
// Rule. Nobody is lost and no accusation is undecided, and a worker of the epoch that counts has said `waiting` for
// Timing::stuck_wait, or reports a link that broke: the same members and donors, now, with every agent that can be
// reached as a snapshot donor. The epoch that counts is the plan's; while it is for a boundary that nobody has entered,
// its parent's.
//
// Complications. A worker that lacks a source of state (WorkerRecord::lacks) asks for nothing: the same plan would fail
// in the same way (recover.hpp, bring_help). Retries in a row without a commit between are further and further apart,
// up to 2 s; the plan carries their number, so that a new leader knows it. A plan that ends the job is not entered by
// anybody: its retry does not end it, and the next look does.
//
// A fault that all members see alike (LostWorkers::fault_of_all) is nobody's: they do the step again, once from what
// they hold, then from the newest snapshot or checkpoint. A third time the job has failed.
#pragma once

#include "coordinator/core/look.hpp"
#include "coordinator/core/lost_workers.hpp"

namespace regroup::coordinator {

// True: a retry is the decision, or a pause before it. False: none is asked for.
bool try_again(Look& look, const LostWorkers& lost);

}  // namespace regroup::coordinator
