// records.hpp: what agents, coordinators and the command line write into etcd, one struct a key, each with to_json /
// X_from_json.
#pragma once

#include "api/words.hpp"
#include "base/evidence.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "layout/bad_steps.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace regroup {

inline constexpr int kProtocolVersion = 4;  // a record with another one is refused by name

enum class WorkerState { kStarting, kReady, kWarm, kTraining, kWaiting, kFinished, kFailed };
inline constexpr Words<WorkerState, 7> kWorkerStateWords{
    {"starting", "ready", "warm", "training", "waiting", "finished", "failed"}};
inline std::string to_string(WorkerState state) { return kWorkerStateWords(state); }

struct WorkerRecord {
  WorkerId id;
  std::string job;
  std::string address;  // mesh listener; empty while starting
  WorkerState state = WorkerState::kStarting;
  // warm: connected to every member of this plan; training: all its members hold their state; else the newest entered
  Epoch epoch;
  std::string fingerprint;
  std::string text;    // what it waits for and from whom, or why it failed
  bool lacks = false;  // waiting: the same plan once more would not help, as where nobody has a source of state
};

// nodes/<id>, leased. Written by its agent only.
struct NodeRecord {
  NodeId node;
  std::uint64_t incarnation = 0;
  int version = kProtocolVersion;
  std::string agent_address;    // peer port of the agent: "unix:PATH" or "tcp:HOST:PORT"
  std::string metrics_address;  // for people
  int slots = 1;
  std::int64_t memory_bytes = 0;
  std::string device = "cpu";
  std::string zone;
  std::map<std::string, std::string> labels;
  std::vector<WorkerRecord> workers;
  Epoch highest_epoch;  // seen by this agent, of the job it works for
};

// notices/<node>: this node will go away.
struct NoticeRecord {
  NodeId node;
  NoticeKind kind = NoticeKind::kDrain;
  std::int64_t deadline_ms = 0;  // wall clock; 0 = none; for people
};

// suspects/<reporter worker or node>: what a reporter saw, level-triggered.
struct Suspicion {
  WorkerId whom;
  Evidence evidence = Evidence::kExit;
  std::int64_t seen_at_ms = 0;  // wall clock
};
struct SuspectRecord {
  std::string reporter;
  Epoch epoch;  // of the reporter when it saw it
  std::vector<Suspicion> suspicions;
};

// assignments/<node>: which job the node works for. Written by the leading coordinator.
struct AssignmentRecord {
  std::string job;
  // This worker of the node is to be ended and replaced, while that is the epoch of the job's plan: no plan can go on
  // without it, for too few nodes would be left.
  std::optional<WorkerId> ends = std::nullopt;
  Epoch ends_in = {};
};

// jobs/<job>/wishes/<id>: scale, drain, stop; removed when done.
struct WishRecord {
  std::optional<WishKind> kind;  // none: a word that this program does not know; the leader removes the wish
  int nodes = 0;                 // scale: how many
  NodeId node;                   // drain
  bool now = false;              // stop: without saving
};

// jobs/<job>/progress/<node>: a lower bound for people and status pages; never read by settle.
struct ProgressRecord {
  Epoch epoch;
  Step step;
  double loss = 0;
  double tokens_per_second = 0;
  std::int64_t at_ms = 0;  // wall clock
  ProgressState state = ProgressState::kUnknown;
  std::string
      reason;  // waiting: for what; failed: why; stopped, finished: why that step is not saved, empty when it is
  std::string weights_sha256;  // when finished
  BadSteps bad;                // up to `step`
  Step validation_step{-1};    // of the newest validation; -1: none yet
  double validation_loss = 0;
  Step safe{-1};  // newest step of which all members voted that a complete snapshot is in safety; -1: none yet
  std::string save_problem;  // why this node's newest save to disk failed; empty: it did not
  // A step was committed since the job came to this node: `loss` is one.
  [[nodiscard]] bool trained() const { return loss != 0 || tokens_per_second > 0; }
};

// jobs/<job>/load/<node>: how many tokens of a step the experts get. Written by the agent of rank 0, seldom: when an
// epoch is eight steps old, and when it has changed.
struct LoadRecord {
  Epoch epoch;  // in which it was measured
  Step step;    // the last one that counts
  // [layer * experts + expert] tokens of a step, of all layers: the mean of eight steps
  std::vector<std::int64_t> expert_load;
  std::vector<std::int64_t> load_before;  // the eight steps before: whether routers are steady; empty: not known
};

// jobs/<job>/checkpoints/<step>: an index; the directory is the truth.
struct CheckpointRecord {
  Step step;
  Epoch epoch;
  std::string path;
  std::int64_t bytes = 0;
};

// jobs/<job>/born: something of the job is in safety, so it never begins anew. Created once, by compare-and-swap.
struct BornRecord {
  Epoch epoch;
};

std::string to_json(const NodeRecord& record);
std::string to_json(const NoticeRecord& record);
std::string to_json(const SuspectRecord& record);
std::string to_json(const AssignmentRecord& record);
std::string to_json(const WishRecord& record);
std::string to_json(const ProgressRecord& record);
std::string to_json(const LoadRecord& record);
std::string to_json(const CheckpointRecord& record);
std::string to_json(const BornRecord& record);
Result<NodeRecord> node_from_json(const std::string& text);
Result<NoticeRecord> notice_from_json(const std::string& text);
Result<SuspectRecord> suspect_from_json(const std::string& text);
Result<AssignmentRecord> assignment_from_json(const std::string& text);
Result<WishRecord> wish_from_json(const std::string& text);
Result<ProgressRecord> progress_from_json(const std::string& text);
Result<LoadRecord> load_from_json(const std::string& text);
Result<CheckpointRecord> checkpoint_from_json(const std::string& text);
Result<BornRecord> born_from_json(const std::string& text);

}  // namespace regroup
