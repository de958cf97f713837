#include "cli/plan/what_if.hpp"

#include "api/plan.hpp"
#include "coordinator/planner/group_layout.hpp"
#include "layout/complete_copy.hpp"
#include "layout/units.hpp"

#include <algorithm>

namespace regroup::cli {
namespace {

constexpr int kPlaces = 64;  // where losses are tried, at most: a plan for 16,384 workers takes 0.1 s

int longest(const JobSpec& job, const Placement& placement) {
  int waves = 0;
  for (const Group& group : placement.groups) waves = std::max(waves, num_waves(group, job.microbatches, job.chains));
  return waves;
}

bool is_lost(Rank rank, const ImaginedCluster& cluster, int first, int count) {
  const int node = rank.value / cluster.workers_per_node;
  return node >= first && node < first + count;
}

bool live_copies_remain(const Placement& placement, const ImaginedCluster& cluster, int first, int count) {
  std::vector<bool> alive;  // [rank]
  for (int rank = 0; rank < cluster.nodes * cluster.workers_per_node; ++rank)
    alive.push_back(!is_lost(Rank(rank), cluster, first, count));
  return complete_copy_remains(placement, alive);
}

StateFrom state_from(const JobSpec& job, const Placement& placement, const ImaginedCluster& cluster, int first,
                     int count) {
  if (live_copies_remain(placement, cluster, first, count)) return StateFrom::kLive;
  const bool has_checkpoints = !job.snapshots.checkpoint_dir.empty();
  if (job.snapshots.snapshot_every_steps > 0 && count < cluster.nodes) {
    // A snapshot has a copy on one other node.
    if (count == 1) return StateFrom::kSnapshots;
    return has_checkpoints ? StateFrom::kSnapshotsOrCheckpoint : StateFrom::kSnapshotsOrNowhere;
  }
  return has_checkpoints ? StateFrom::kCheckpoint : StateFrom::kNowhere;
}

NodesGone lose(const JobSpec& job, const ImaginedCluster& cluster, const Plan& before, int first, int count) {
  NodesGone loss;
  loss.nodes = count;
  loss.first = first;
  loss.state_from = state_from(job, before.placement, cluster, first, count);
  if (cluster.nodes - count < job.elastic.min_nodes) {
    loss.reason = "waits: fewer than elastic.min_nodes (" + std::to_string(job.elastic.min_nodes) + ") nodes are left";
    return loss;
  }
  planning::PlannerInput input{&job, &before, candidates_of(cluster, first, count), planning::Goal::kSoonest};
  const planning::PlanningResult soonest = planning::make_placement(input);
  loss.reason = soonest.reason;
  if (!soonest.planned) return loss;
  loss.trains = true;
  loss.groups = sizes_of(soonest.planned->placement);
  loss.bytes_at_once = soonest.planned->bytes_to_move;
  Plan after = before;
  after.members = soonest.planned->members;
  after.placement = soonest.planned->placement;
  input.previous = &after;
  input.goal = planning::Goal::kBalanced;
  const planning::PlanningResult balanced = planning::make_placement(input);
  const Placement& final_placement = balanced.planned ? balanced.planned->placement : after.placement;
  loss.balanced_groups = sizes_of(final_placement);
  loss.bytes_to_move = balanced.planned ? balanced.planned->bytes_to_move : 0;
  loss.slower = static_cast<double>(longest(job, final_placement)) / longest(job, before.placement);
  return loss;
}

int badness(const NodesGone& loss) {
  const int worse_state = loss.state_from == StateFrom::kLive        ? 0
                          : loss.state_from == StateFrom::kSnapshots ? 100
                                                                     : 200;
  return (loss.trains ? 0 : 1000) + worse_state + static_cast<int>(100 * (loss.slower - 1));
}

}  // namespace

std::vector<int> sizes_of(const Placement& placement) {
  std::vector<int> sizes;
  for (const Group& group : placement.groups) sizes.push_back(static_cast<int>(group.ranks.size()));
  return sizes;
}

Result<WhatIf> what_if(const JobSpec& job, const ImaginedCluster& cluster, int most_lost) {
  if (cluster.nodes < 1 || cluster.workers_per_node < 1 || cluster.nodes > kMostWorkers / cluster.workers_per_node)
    return Error{Code::kBadInput, "nodes times workers a node must be between 1 and " + std::to_string(kMostWorkers)};
  WhatIf result;
  result.parameters = count_parameters(job.model);
  result.active_parameters = count_active_parameters(job.model);
  result.tokens_per_step =
      static_cast<std::int64_t>(job.microbatches) * job.sequences_per_microbatch * job.sequence_length;
  result.work = work_per_token(job.model, job.sequence_length);
  for (const Unit& unit : one_layer_of_each_kind(job.model))
    for (const TensorSpec& tensor : unit.tensors)
      result.state_bytes += tensor.numel * planning::kStateBytesPerElement * layers_like(job.model, unit);

  Plan plan;
  const planning::PlanningResult planned =
      planning::make_placement({&job, nullptr, candidates_of(cluster, 0, 0), planning::Goal::kBalanced});
  result.reason = planned.reason;
  if (!planned.planned) {
    result.memory = planning::memory_need(job, std::min(cluster.nodes * cluster.workers_per_node, job.microbatches), 1);
    return result;
  }
  plan.members = planned.planned->members;
  plan.placement = result.placement = planned.planned->placement;
  result.members = static_cast<int>(plan.members.size());
  result.waves = longest(job, plan.placement);
  int smallest = result.members;
  for (const Group& group : plan.placement.groups) {
    smallest = std::min(smallest, static_cast<int>(group.ranks.size()));
    std::vector<int> experts(group.ranks.size());
    for (const int member : group.expert_member) ++experts[static_cast<std::size_t>(member)];
    const auto [fewest, most] = std::minmax_element(experts.begin(), experts.end());
    result.fewest_experts = result.most_experts == 0 ? *fewest : std::min(result.fewest_experts, *fewest);
    result.most_experts = std::max(result.most_experts, *most);
  }
  result.memory = planning::memory_need(job, smallest, static_cast<int>(plan.placement.groups.size()));
  result.traffic = traffic_of_step(job, plan.placement, cluster.workers_per_node);
  for (int count = 1; count <= std::min(most_lost, cluster.nodes); ++count) {
    std::optional<NodesGone> worst;
    const int stride = std::max(1, (cluster.nodes - count) / kPlaces);
    for (int first = 0; first + count <= cluster.nodes; first += stride) {
      NodesGone loss = lose(job, cluster, plan, first, count);
      if (!worst || badness(loss) > badness(*worst)) worst = std::move(loss);
    }
    result.losses.push_back(std::move(*worst));
  }
  return result;
}

}  // namespace regroup::cli
