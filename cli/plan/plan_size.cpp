#include "cli/plan/plan_size.hpp"

#include "api/plan_pointer.hpp"
#include "cli/plan/imagined_cluster.hpp"
#include "coordinator/planner/planner.hpp"

#include <algorithm>

namespace regroup::cli {

Result<void> check_plan_size(const JobSpec& job) {
  const ImaginedCluster cluster{std::min(job.elastic.max_nodes, kMostWorkers), 1, 0};
  const planning::PlanningResult planned =
      planning::make_placement({&job, nullptr, candidates_of(cluster, 0, 0), planning::Goal::kBalanced});
  if (!planned.planned) return {};  // whoever has that many nodes is told why
  Plan plan;
  plan.job = job.name;
  plan.reason = planned.planned->reason;
  plan.members = planned.planned->members;
  plan.placement = planned.planned->placement;
  const std::size_t bytes = to_json(plan).size();
  if (bytes <= kMaxPlanBytes) return {};
  return Error{Code::kBadInput, "a plan for elastic.max_nodes (" + std::to_string(job.elastic.max_nodes) +
                                    ") nodes would have " + std::to_string(bytes) + " bytes, and may have at most " +
                                    std::to_string(kMaxPlanBytes) +
                                    ": lower elastic.max_nodes, or take fewer experts or expert_slices"};
}

}  // namespace regroup::cli
