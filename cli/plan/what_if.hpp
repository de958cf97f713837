// what_if.hpp: what a job would be on a given cluster: size, work, memory, traffic, and what happens when nodes go.
// Pure: the real planner on imagined nodes.
#pragma once

#include "api/job_spec.hpp"
#include "base/result.hpp"
#include "base/words.hpp"
#include "cli/plan/imagined_cluster.hpp"
#include "coordinator/planner/memory_need.hpp"
#include "layout/placement.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regroup::cli {

// Floating-point operations of forward and backward for one token, multiply and add counted apart: 6 a weight that the
// token meets in a matrix, 12 * heads * head_dim a visible position and layer. What is computed again in the backward
// is not counted.
struct Work {
  double matrices = 0;
  double attention = 0;
  [[nodiscard]] double total() const { return matrices + attention; }
};
Work work_per_token(const ModelShape& model, std::int64_t sequence_length);

// Bytes that all workers together send in one step, for tokens spread evenly over the experts.
struct Traffic {
  std::int64_t gather = 0;             // dense weights from owners to the ranks that compute
  std::int64_t dispatch = 0;           // rows to experts and back, forward and backward
  std::int64_t leaves = 0;             // dense gradients to their owners
  std::int64_t nodes = 0;              // of the reduction tree, between groups
  std::int64_t between_machines = 0;   // of all that: between workers of different nodes
  std::int64_t most_of_a_machine = 0;  // what the busiest node sends to others
  [[nodiscard]] std::int64_t total() const { return gather + dispatch + leaves + nodes; }
};
Traffic traffic_of_step(const JobSpec& job, const Placement& placement, int workers_per_node);

// Where the state that went with its nodes comes from; of two, the latter if a node went together with its buddy.
enum class StateFrom { kLive, kSnapshots, kSnapshotsOrCheckpoint, kSnapshotsOrNowhere, kCheckpoint, kNowhere };
inline constexpr Words<StateFrom, 6> kStateFromWords{
    {"live copies", "snapshots", "snapshots or a checkpoint", "snapshots or nowhere", "a checkpoint", "nowhere"}};

// After `nodes` neighbouring nodes went, at the worst place.
struct NodesGone {
  int nodes = 0;
  int first = 0;  // the worst place: nodes first, first + 1 ...
  StateFrom state_from = StateFrom::kNowhere;
  bool trains = false;
  std::string reason;       // why not, or what the first plan is
  std::vector<int> groups;  // sizes, in the plan that commits soonest and in the balanced one that follows
  std::vector<int> balanced_groups;
  std::int64_t bytes_at_once = 0;  // of state that must come from elsewhere before the first plan trains
  std::int64_t bytes_to_move = 0;  // for the balanced plan
  double slower = 1;               // step time by the longest group's waves, against before
};

struct WhatIf {
  std::int64_t parameters = 0;
  std::int64_t active_parameters = 0;
  std::int64_t tokens_per_step = 0;
  Work work;                     // a token
  std::int64_t state_bytes = 0;  // master weights and both moments, one copy
  Placement placement;
  int members = 0;
  std::string reason;      // of the plan, or why there is none
  int waves = 0;           // of the longest group
  int fewest_experts = 0;  // that a worker keeps, of all layers
  int most_experts = 0;
  planning::MemoryNeed memory;
  Traffic traffic;
  std::vector<NodesGone> losses;  // 1, 2 ... nodes
};

// Of the groups.
std::vector<int> sizes_of(const Placement& placement);

// kBadInput when the cluster cannot be imagined. No plan is no error: placement is empty, reason says why.
Result<WhatIf> what_if(const JobSpec& job, const ImaginedCluster& cluster, int most_lost);

}  // namespace regroup::cli
