#include "coordinator/core/node_evidence.hpp"

#include <algorithm>

namespace regroup::coordinator {
namespace {

std::optional<NodeEvidence> from_record(const Seen<NodeRecord>& node, const JobRecords& job, const WorkerId& worker,
                                        bool names_itself) {
  if (node.value.incarnation != worker.incarnation)
    return NodeEvidence{Cause::kNodeLost, "its node has started anew", true};
  const auto slot = std::find_if(node.value.workers.begin(), node.value.workers.end(),
                                 [&](const WorkerRecord& record) { return record.id.slot == worker.slot; });
  if (slot == node.value.workers.end()) {
    // The plan was made with this worker, and the agent's record, written later, does not list it: the agent let it go.
    if (node.mod_revision <= job.plan->mod_revision || job.finished.contains(worker)) return std::nullopt;
    return NodeEvidence{Cause::kWorkerLost, "its agent lists it no more", true};
  }
  if (slot->id.start > worker.start)
    return NodeEvidence{Cause::kWorkerLost, "its agent has started another in its place", true};
  if (slot->id != worker || slot->state != WorkerState::kFailed || names_itself) return std::nullopt;
  return NodeEvidence{Cause::kFault, slot->text.empty() ? "failed" : "failed: " + slot->text, true};
}

bool takes_part(const Plan& plan, const WorkerId& worker) {
  const auto is_it = [&](const Participant& one) { return one.worker == worker; };
  return std::any_of(plan.members.begin(), plan.members.end(), is_it) ||
         std::any_of(plan.donors.begin(), plan.donors.end(), is_it);
}

// A peer whose own node is there has entered the plan's epoch, and hears the worker's beats: it would accuse it
// otherwise.
bool is_heard_by_peers(const ClusterView& view, const Plan& plan, const WorkerId& worker) {
  return std::any_of(view.suspects().begin(), view.suspects().end(), [&](const auto& entry) {
    const SuspectRecord& record = entry.second.value;
    const auto reporter = worker_named(record.reporter);
    if (!reporter || record.epoch != plan.epoch || *reporter == worker || !takes_part(plan, *reporter)) return false;
    if (view.node(reporter->node) == nullptr) return false;
    return std::none_of(record.suspicions.begin(), record.suspicions.end(),
                        [&](const Suspicion& suspicion) { return suspicion.whom == worker; });
  });
}

std::optional<NodeEvidence> from_absence(const ClusterView& view, const JobRecords& job, const WorkerId& worker,
                                         const Now& now) {
  const auto absence = view.absence(worker.node);
  if (!absence) return std::nullopt;
  const Timing& t = view.timing();
  if (view.session(now) < t.lease + t.session_margin || now.at - absence->since < t.absence_grace) return std::nullopt;
  for (const auto& [node, progress] : job.progress) {
    const bool proof = progress.value.epoch == job.plan->value.epoch && progress.mod_revision > absence->revision;
    if (proof && now.at - progress.last_changed < t.proof_holds) return std::nullopt;
  }
  if (job.is_in_force() && is_heard_by_peers(view, job.plan->value, worker)) return std::nullopt;
  return NodeEvidence{Cause::kNodeLost, "its node has been absent from etcd for longer than its lease", false};
}

}  // namespace

std::optional<NodeEvidence> evidence_of_node(const ClusterView& view, const JobRecords& job, const WorkerId& worker,
                                             bool names_itself, const Now& now) {
  const auto node = view.nodes().find(worker.node);
  if (node != view.nodes().end()) return from_record(node->second, job, worker, names_itself);
  return from_absence(view, job, worker, now);
}

std::optional<WorkerId> worker_named(std::string reporter) {
  std::replace(reporter.begin(), reporter.end(), ':', '/');
  WorkerId id;
  return parse_worker_id(reporter, id) ? std::optional(id) : std::nullopt;
}

}  // namespace regroup::coordinator
