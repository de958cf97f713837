// journal_event.hpp: what a line of an agent's journal tells of. The agent writes them, `regroup local` and the
// benchmarks read them; fields of each: docs/protocol.md.
#pragma once

#include "base/words.hpp"

namespace regroup {

enum class JournalEvent {
  // plans
  kPlan,
  kPlanRefused,
  // a worker's process
  kWorkerStarted,
  kWorkerReady,
  kWorkerExited,
  // what a worker says
  kState,
  kSuspicion,
  kCommitted,
  kRegrouped,
  kValidated,
  kFinished,
  kGaveUp,
  kStopped,
  kFault,
  // what became of its state
  kSnapshotKept,
  kSnapshotFailed,
  kCheckpointPart,
  kCheckpointDurable,
  kCheckpointFailed,
  // the agent itself
  kLeaseLost,
  kQuits,
};
inline constexpr Words<JournalEvent, 21> kJournalEventWords{
    {// plans
     "plan", "plan_refused",
     // a worker's process
     "worker_started", "worker_ready", "worker_exited",
     // what a worker says
     "state", "suspicion", "committed", "regrouped", "validated", "finished", "gave_up", "stopped", "fault",
     // what became of its state
     "snapshot_kept", "snapshot_failed", "checkpoint_part", "checkpoint_durable", "checkpoint_failed",
     // the agent itself
     "lease_lost", "quits"}};
inline std::string to_string(JournalEvent event) { return kJournalEventWords(event); }

}  // namespace regroup
