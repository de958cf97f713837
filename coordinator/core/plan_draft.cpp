#include "coordinator/core/plan_draft.hpp"

#include <algorithm>
#include <set>

namespace regroup::coordinator {
namespace {

planning::Candidate candidate_of(const ClusterView& view, const Participant& participant) {
  planning::Candidate candidate{
      participant.worker, participant.address, participant.agent_address, participant.worker.node.value, "", 0};
  if (const NodeRecord* node = view.node(participant.worker.node)) {
    candidate.zone = node->zone;
    candidate.memory_bytes = node->memory_bytes / std::max(1, node->slots);
    if (const auto host = node->labels.find("host"); host != node->labels.end()) candidate.host = host->second;
  }
  return candidate;
}

std::vector<SnapshotDonor> snapshot_donors(const ClusterView& view, const Plan& plan,
                                           const std::vector<NodeId>& nodes) {
  std::set<NodeId> speaking;
  for (const Participant& member : plan.members) speaking.insert(member.worker.node);
  for (const Participant& donor : plan.donors) speaking.insert(donor.worker.node);
  std::vector<SnapshotDonor> donors;
  for (const NodeId& id : std::set<NodeId>(nodes.begin(), nodes.end())) {
    const NodeRecord* node = view.node(id);
    if (node == nullptr || node->agent_address.empty() || speaking.contains(id)) continue;
    donors.push_back({id, node->agent_address, Rank(static_cast<int>(donors.size() % plan.members.size()))});
  }
  return donors;
}

// The newest durable checkpoint, and whether step 0 is a source, too.
void name_sources(const JobRecords& job, Plan& plan) {
  plan.checkpoint_step.reset();
  plan.checkpoint_path.clear();
  if (!job.checkpoints.empty()) {
    plan.checkpoint_step = job.checkpoints.rbegin()->first;
    plan.checkpoint_path = job.checkpoints.rbegin()->second.path;
  }
  plan.origin = job.born || !job.checkpoints.empty() ? Origin::kResume : Origin::kFresh;
}

}  // namespace

Epoch next_epoch(const ClusterView& view, const JobRecords& job) {
  Epoch highest;
  const auto raise = [&](Epoch epoch) { highest = std::max(highest, epoch); };
  if (job.plan) raise(job.plan->value.epoch);
  if (!job.history.empty()) raise(Epoch(job.history.rbegin()->first));
  if (job.born) raise(job.born->value.epoch);
  raise(job.in_force.epoch());
  for (const auto& [id, node] : view.nodes()) {
    const auto assignment = view.assignments().find(id);
    const bool ours = assignment != view.assignments().end() && assignment->second.value.job == job.name &&
                      std::all_of(node.value.workers.begin(), node.value.workers.end(),
                                  [&](const auto& worker) { return worker.job == job.name; });
    if (ours) raise(node.value.highest_epoch);
  }
  return Epoch(highest.value + 1);
}

Result<DraftedPlan> make_plan(const ClusterView& view, const JobRecords& job, const PlanDraft& draft, const Now& now) {
  const JobSpec& spec = job.spec->value;
  planning::PlannerInput input{&spec, draft.previous, {}, draft.goal};
  for (const Participant& member : draft.members) input.candidates.push_back(candidate_of(view, member));
  if (const auto* load = job.newest_load(); draft.by_load && load != nullptr) input.load = &load->value;
  std::sort(input.candidates.begin(), input.candidates.end(),
            [](const planning::Candidate& a, const planning::Candidate& b) { return a.worker < b.worker; });
  planning::PlanningResult result = planning::make_placement(input);
  if (!result.planned) return Error{Code::kBadInput, result.reason};

  Plan plan;
  plan.epoch = next_epoch(view, job);
  plan.parent = job.plan ? job.plan->value.epoch : Epoch{};
  plan.job = job.name;
  plan.when = draft.when;
  plan.cause = draft.cause;
  plan.reason = draft.reason + "; " + result.planned->reason;
  if (job.plan && !job.has_committed(plan.parent)) plan.faults = job.plan->value.faults;
  plan.members = std::move(result.planned->members);
  plan.placement = std::move(result.planned->placement);
  plan.donors = draft.donors;
  name_sources(job, plan);
  plan.decided_at_ms = now.wall_ms;
  plan.detected_at_ms = draft.detected_at_ms > 0 ? std::min(draft.detected_at_ms, now.wall_ms) : now.wall_ms;
  plan.snapshot_donors = snapshot_donors(view, plan, draft.snapshot_nodes);
  const auto violations = check_plan(plan, spec);
  if (!violations.empty()) return Error{Code::kBadInput, "the planner's plan is wrong: " + violations.front()};
  return DraftedPlan{std::move(plan), result.planned->bytes_to_move, result.planned->rank_load};
}

Plan make_again(const ClusterView& view, const JobRecords& job, const std::vector<NodeId>& agents, const Now& now) {
  Plan plan = job.plan->value;
  plan.parent = plan.epoch;
  plan.epoch = next_epoch(view, job);
  plan.when = When::kNow;
  plan.ends = false;
  plan.cause = Cause::kRetry;
  if (job.is_in_force()) plan.donors.clear();  // they have given their state away
  plan.snapshot_donors = snapshot_donors(view, plan, agents);
  name_sources(job, plan);
  plan.detected_at_ms = plan.decided_at_ms = now.wall_ms;
  return plan;
}

Plan make_ending(const ClusterView& view, const JobRecords& job, const Now& now) {
  Plan plan = job.plan->value;
  plan.parent = plan.epoch;
  plan.epoch = next_epoch(view, job);
  plan.origin = Origin::kResume;
  plan.when = When::kBoundary;
  plan.ends = true;
  plan.retries = plan.faults = 0;
  plan.cause = Cause::kStop;
  plan.reason = "the job shall stop: its members save the step under way and end";
  plan.donors.clear();
  plan.snapshot_donors.clear();
  plan.detected_at_ms = plan.decided_at_ms = now.wall_ms;
  return plan;
}

}  // namespace regroup::coordinator
