#include "coordinator/core/roster.hpp"

#include "api/job_status.hpp"
#include "coordinator/core/stopping.hpp"

#include <algorithm>
#include <utility>

namespace regroup::coordinator {
namespace {

// A notice under a lease vanishes with its agent. One without a lease stays, and is out of date when the agent has
// registered anew since.
bool has_notice(const ClusterView& view, const NodeId& id) {
  const auto notice = view.notices().find(id);
  const auto node = view.nodes().find(id);
  if (notice == view.notices().end()) return false;
  return notice->second.lease != 0 || node == view.nodes().end() ||
         notice->second.mod_revision >= node->second.create_revision;
}

// Until whoever wished for it takes the wish back.
bool is_drained(const JobRecords& job, const NodeId& id) {
  return std::any_of(job.wishes.begin(), job.wishes.end(), [&](const auto& entry) {
    const WishRecord& wish = entry.second.value;
    return wish.kind == WishKind::kDrain && wish.node == id;
  });
}

const Seen<WishRecord>* newest_scale(const JobRecords& job) {
  const Seen<WishRecord>* newest = nullptr;
  for (const auto& [key, wish] : job.wishes) {
    if (wish.value.kind == WishKind::kScale && (newest == nullptr || wish.mod_revision > newest->mod_revision))
      newest = &wish;
  }
  return newest;
}

bool in_plan(const JobRecords& job, const NodeId& id) {
  if (!job.plan) return false;
  const Plan& plan = job.plan->value;
  return any_on(plan.members, id) || (!job.is_in_force() && any_on(plan.donors, id));
}

// The same for many nodes.
std::set<NodeId> nodes_in_plan(const JobRecords& job) {
  std::set<NodeId> nodes;
  if (!job.plan) return nodes;
  for (const Participant& p : job.plan->value.members) nodes.insert(p.worker.node);
  if (!job.is_in_force()) {
    for (const Participant& p : job.plan->value.donors) nodes.insert(p.worker.node);
  }
  return nodes;
}

const JobRecords* find_job(const ClusterView& view, const std::string& name) {
  const auto found = view.jobs().find(name);
  return found == view.jobs().end() ? nullptr : &found->second;
}

// Workers of a finished job still compute the digest and keep the last snapshot.
bool may_let_go(const ClusterView& view, const JobRecords* job, const NodeId& id, const Now& now) {
  if (job == nullptr || !job->outcome) return true;
  const auto outcome = job_outcome_from_json(job->outcome->value);
  if (!outcome || outcome->state != JobState::kFinished) return true;
  if (now.at - job->outcome->first_seen >= view.timing().last_work) return true;
  const NodeRecord* record = view.node(id);
  if (record == nullptr) return true;
  return std::all_of(record->workers.begin(), record->workers.end(), [&](const WorkerRecord& worker) {
    return worker.job != job->name || worker.state == WorkerState::kFinished || worker.state == WorkerState::kFailed ||
           !in_plan(*job, id);
  });
}

}  // namespace

bool is_active(const JobRecords& job) {
  return job.spec && job.spec_error.empty() && !job.outcome && !stop_wished(job);
}

std::vector<std::string> jobs_in_order(const ClusterView& view, const std::set<std::string>& jobs) {
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (const std::string& name : jobs) {
    const JobRecords* job = find_job(view, name);
    if (job != nullptr && is_active(*job)) order.emplace_back(job->spec->create_revision, name);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::string> names;
  for (auto& [revision, name] : order) names.push_back(std::move(name));
  return names;
}

Roster roster_of(const ClusterView& view, const JobRecords& job) {
  Roster roster;
  const ElasticSpec& elastic = job.spec->value.elastic;
  roster.target = elastic.max_nodes;
  if (const auto* scale = newest_scale(job)) {
    roster.target = std::clamp(scale->value.nodes, elastic.min_nodes, elastic.max_nodes);
    if (roster.target != scale->value.nodes) {
      roster.target_reason = "the wish for " + std::to_string(scale->value.nodes) + " nodes is cut to " +
                             std::to_string(roster.target) + ", the job allows " + std::to_string(elastic.min_nodes) +
                             " to " + std::to_string(elastic.max_nodes);
    }
  }
  for (const auto& [id, assignment] : view.assignments()) {
    if (assignment.value.job != job.name || view.node(id) == nullptr) continue;
    if (has_notice(view, id)) {
      const std::string kind = to_string(view.notices().at(id).value.kind);
      roster.leaving[id] = {Cause::kDrain, "a notice says it will go (" + kind + ")"};
    } else if (is_drained(job, id)) {
      roster.leaving[id] = {Cause::kDrain, "it shall be drained"};
    } else {
      roster.usable.insert(id);
    }
  }
  if (static_cast<int>(roster.usable.size()) <= roster.target) return roster;
  // Too many nodes. Those that hold nothing leave first, then the last by id.
  const std::set<NodeId> holding = nodes_in_plan(job);
  std::vector<std::pair<bool, NodeId>> order;
  for (const NodeId& id : roster.usable) order.emplace_back(holding.contains(id), id);
  std::sort(order.begin(), order.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? !a.first : b.second < a.second; });
  for (const auto& [member, id] : order) {
    if (static_cast<int>(roster.usable.size()) <= roster.target) break;
    roster.usable.erase(id);
    roster.leaving[id] = {Cause::kScale, "the job is to have " + std::to_string(roster.target) + " nodes"};
  }
  return roster;
}

std::vector<AssignmentChange> assign_nodes(const ClusterView& view, const std::set<std::string>& jobs, const Now& now) {
  std::vector<AssignmentChange> changes;
  std::set<NodeId> free;
  for (const auto& [id, node] : view.nodes()) {
    if (!view.assignments().contains(id) && node.value.slots > 0 && !has_notice(view, id)) free.insert(id);
  }
  for (const auto& [id, assignment] : view.assignments()) {
    const JobRecords* job = find_job(view, assignment.value.job);
    if (job != nullptr && is_active(*job)) {
      const auto absence = view.absence(id);
      const bool forgotten = absence && !in_plan(*job, id) && view.session(now) > view.timing().lease &&
                             now.at - absence->since > view.timing().forget_node;
      if (forgotten) changes.push_back({id, "", "the node has been away too long"});
      continue;
    }
    // The job is asked to stop: its nodes are let go when it has an outcome.
    if (job != nullptr && job->spec && !job->outcome && job->spec_error.empty()) continue;
    if (may_let_go(view, job, id, now)) changes.push_back({id, "", "the job is over"});
  }
  bool first = true;
  for (const std::string& name : jobs_in_order(view, jobs)) {
    const JobRecords& job = view.jobs().at(name);
    const Roster roster = roster_of(view, job);
    for (const auto& [id, leaving] : roster.leaving) {
      const bool held_back = in_plan(job, id) || (job.plan && !job.is_in_force() && job.is_pending());
      if (!held_back) changes.push_back({id, "", leaving.why});
    }
    std::vector<NodeId> suitable;
    for (const NodeId& id : free) {
      if (!is_drained(job, id)) suitable.push_back(id);
    }
    const int have = static_cast<int>(roster.usable.size());
    const int want = std::min(roster.target - have, static_cast<int>(suitable.size()));
    if (want > 0 && (first || job.plan || have + want >= job.spec->value.elastic.min_nodes)) {
      for (int i = 0; i < want; ++i) {
        changes.push_back({suitable[static_cast<std::size_t>(i)], name, "free"});
        free.erase(suitable[static_cast<std::size_t>(i)]);
      }
    }
    first = false;
  }
  return changes;
}

std::map<std::string, std::int64_t> spent_wishes(const JobRecords& job) {
  std::map<std::string, std::int64_t> spent;
  for (const auto& [id, wish] : job.wishes) {
    const WishRecord& record = wish.value;
    bool done = job.outcome.has_value();
    if (record.kind == WishKind::kScale) {
      done = done || newest_scale(job) != &wish;
    } else if (!record.kind) {
      done = true;  // a word nobody knows
    }
    if (done) spent[id] = wish.mod_revision;
  }
  return spent;
}

}  // namespace regroup::coordinator
