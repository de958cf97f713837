// worker_protocol.hpp: what an agent and the worker it started say to each other, over the Unix stream socket that the
// worker inherits as file descriptor 3.
//
// Frame: u32 little-endian length, then that many bytes of JSON {"type": ..., ...}; an arena_grant carries one memfd by
// SCM_RIGHTS. The end of the stream means the other side is gone: a worker exits at once.
#pragma once

#include "api/job_spec.hpp"
#include "api/plan.hpp"
#include "api/records.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/state_source.hpp"
#include "base/step_phase.hpp"
#include "layout/bad_steps.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace regroup {

inline constexpr int kWorkerSocket = 3;

// Blocks of one unit inside a snapshot: three arrays of (blocks.size() * block_elements) floats one after the other
// (master, first moment, second moment) from `offset` bytes into the arena slot (a multiple of 64).
struct SnapshotEntry {
  int unit = 0;
  Interval blocks;
  std::int64_t offset = 0;
  friend bool operator==(const SnapshotEntry&, const SnapshotEntry&) = default;
};

struct SnapshotInfo {
  Step step;
  Epoch epoch;
  int slot = 0;
  std::vector<SnapshotEntry> entries;
  // newest step that every vote of a committed step acknowledged when this was taken: what is older may go
  Step safe{-1};
  BadSteps bad;  // up to `step`
};

struct RegroupReport {
  Epoch epoch;
  Cause cause = Cause::kStart;
  int members = 0;
  Step step;  // that training goes on from
  StateSource source = StateSource::kLive;
  std::string reason;   // of the settlement
  double stop_ms = 0;   // plan seen -> step loop stopped
  double agree_ms = 0;  // connections, inventories, settlement
  double move_ms = 0;
  double first_commit_ms = 0;             // moved -> first commit
  std::int64_t bytes_moved = 0;           // received by this worker
  std::int64_t bytes_from_own_agent = 0;  // of these, from snapshots on its own node
  std::int64_t plan_seen_at_ms = 0;       // wall clock
  std::int64_t steps_lost = 0;            // committed by this worker, computed again
};

struct CommitReport {
  Epoch epoch;
  Step step;
  double loss = 0;       // mean over targets
  double aux_loss = 0;   // without its coefficient, as the next
  double z_loss = 0;     // of the routers
  double grad_norm = 0;  // not finite: a bad step, which changes no weight
  double learning_rate = 0;
  std::int64_t tokens = 0;                // of the whole step
  double seconds = 0;                     // of this step on this worker
  std::map<StepPhase, double> phases;     // seconds
  std::vector<std::int64_t> expert_load;  // [layer * experts + expert] tokens of the whole step
  double rank_load = 1;  // of this group's ranks: tokens that the experts of each layer's heaviest get, over the mean
  BadSteps bad;          // up to this step
  bool checkpoint_left_out = false;  // of this step, because an earlier one was still being written
};

// Agent -> worker.
struct Welcome {
  JobSpec job;
  WorkerId self;
  std::string mesh_listen;
  std::string agent_address;
  Epoch highest_epoch;
  std::string profile_file = {};  // absolute; empty: none is asked for
  bool peer_memory = true;        // false: nobody reads this worker's memory, and it reads nobody's
  // An earlier worker of this job found here that checkpoints can be written: what fails now is a save, which stops
  // nobody.
  bool storage_proven = false;
  // An earlier worker was refused for its initial weights, and none has trained since: this one looks at them before it
  // is ready.
  bool weights_doubted = false;
  std::string settings = {};  // the agent's --worker-env, each with a blank before it: the end of the fingerprint
};
// get warm for this plan
struct DialPeers {
  Epoch epoch;
  std::vector<Participant> peers;
};
struct NewPlan {
  Plan plan;
};
// with the memfd; slot -1, without: there is no memory for that request
struct ArenaGrant {
  int slot = 0;
  std::int64_t bytes = 0;
};
// What became of a snapshot. kKept: its checksums are taken; kSafe: and its buddy has it, or none is needed;
// kSaveEnded: the write to disk has ended, well or not.
enum class SnapshotNews { kKept, kSafe, kSaveEnded };
struct SnapshotAnswer {
  Step step;
  Epoch epoch;
  SnapshotNews news = SnapshotNews::kKept;
};
struct StopWorker {
  std::string reason;
};
using ToWorker = std::variant<Welcome, DialPeers, NewPlan, ArenaGrant, SnapshotAnswer, StopWorker>;

// Worker -> agent.
struct Hello {
  std::string address;
  int pid = 0;
  std::string fingerprint;
};
struct StateChanged {
  WorkerState state = WorkerState::kStarting;
  Epoch epoch;
  std::string text;
  bool lacks = false;  // as in WorkerRecord
};
// the whole present list; empty withdraws
struct Suspects {
  Epoch epoch;
  std::vector<Suspicion> suspicions;
};
struct Committed {
  CommitReport report;
};
struct Regrouped {
  RegroupReport report;
};
// of each slot
struct NeedArena {
  int slots = 0;
  std::int64_t bytes = 0;
};
struct SnapshotTaken {
  SnapshotInfo info;
  bool make_durable = false;
  int num_parts = 0;
  int part = 0;
  std::vector<SnapshotEntry> to_write;  // this worker's share of the checkpoint: each block is written by one member
  int group = 0;                        // every group holds all of the state
};
// is_saved: the last step's checkpoint was there before, so that none was written
struct Finished {
  Step step;
  std::string weights_sha256;
  bool is_saved = false;
};
// loss: mean over targets; may be said twice
struct Validated {
  Epoch epoch;
  Step step;
  double loss = 0;
  std::int64_t targets = 0;
  double seconds = 0;
};
// every member decides so alike: the job has failed
struct GaveUp {
  Step step;
  std::string reason;
};
// part 0 of the checkpoint of this step, the last before `epoch`, which ends the job; its save has ended, well or not
struct Stopped {
  Epoch epoch;
  Step step;
};
// the initial weights on this node are not those of the job: a Fault follows
struct WeightsRefused {};
// the worker gives up and will exit
struct Fault {
  std::string text;
};
using FromWorker = std::variant<Hello, StateChanged, Suspects, Committed, Regrouped, NeedArena, SnapshotTaken, Finished,
                                Validated, GaveUp, Stopped, WeightsRefused, Fault>;

std::string to_json(const ToWorker& message);
std::string to_json(const FromWorker& message);
Result<ToWorker> to_worker_from_json(const std::string& text);
Result<FromWorker> from_worker_from_json(const std::string& text);

}  // namespace regroup
