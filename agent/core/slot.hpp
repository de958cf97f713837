// slot.hpp: room for one worker: who runs in it, and when the next one may start.
#pragma once

#include "agent/core/node_facts.hpp"
#include "api/keeper_reports.hpp"
#include "api/worker_protocol.hpp"

#include <optional>
#include <string>

namespace regroup::agent {

struct Slot {
  int index = 0;
  int starts = 0;  // so far, in this incarnation
  bool running = false;
  WorkerRecord worker;             // of the running one; of the last one while it is shown as failed
  bool asked_to_end = false;       // by us: its end is no failure
  std::optional<Instant> kill_at;  // was asked to stop
  int failures = 0;                // since one of its workers trained for long enough
  Instant not_before{};            // of the next start
  bool storage_proven = false;     // a worker of this job was ready here
  bool weights_doubted = false;    // a worker was refused for its weights, and none has committed since
  int commits = 0;                 // since its start
  Instant first_commit{};          // of these
  Epoch part_of;                   // newest plan that counts on this worker
  Epoch dialled;                   // newest plan whose members it was told to connect to ahead of its own

  // Snapshots: the newest one taken; none once the worker was told that it is safe.
  std::optional<SnapshotTaken> unsafe;
  std::optional<Instant> offer_again_at;
  std::optional<CheckpointSaved> saved;  // the newest whose write has ended
};

// 0.25, 1, 2, 4 ... 60 s after the first, second, third ... failure in a row. Not at once even then: a worker that
// starts takes a core from the survivors' first step after the failure, and the whole job waits for that step.
Span restart_delay(int failures);

}  // namespace regroup::agent
