// plan_draft.hpp: from "these workers, for this reason" to a plan that passes check_plan. Pure.
#pragma once

#include "coordinator/core/cluster_view.hpp"
#include "coordinator/planner/planner.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regroup::coordinator {

struct PlanDraft {
  std::vector<Participant> members;  // any order
  std::vector<Participant> donors;
  std::vector<NodeId> snapshot_nodes;  // agents asked for snapshots; those with a member are left out
  const Plan* previous = nullptr;      // what the workers hold now, as far as we know
  planning::Goal goal = planning::Goal::kBalanced;
  When when = When::kNow;
  // kBalanced: experts are placed by the newest load that is known, if that lasts and gains the job's load_gain
  bool by_load = true;
  Cause cause = Cause::kStart;
  std::string reason;
  std::int64_t detected_at_ms = 0;  // 0 = now
};

struct DraftedPlan {
  Plan plan;
  std::int64_t bytes_to_move = 0;  // this and the next as in planning::Planned
  std::optional<planning::RankLoad> rank_load;
};

// kBadInput: no such plan is possible; the text says why.
Result<DraftedPlan> make_plan(const ClusterView& view, const JobRecords& job, const PlanDraft& draft, const Now& now);

// The plan in force once more, but with an end: at the next step boundary its members save and stop.
Plan make_ending(const ClusterView& view, const JobRecords& job, const Now& now);

// The plan once more, at once, for the same members from what they hold; these agents may have snapshots.
Plan make_again(const ClusterView& view, const JobRecords& job, const std::vector<NodeId>& agents, const Now& now);

// One above the highest epoch that etcd or any agent of the job has seen.
Epoch next_epoch(const ClusterView& view, const JobRecords& job);

}  // namespace regroup::coordinator
