#include "coordinator/core/newcomers.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace regroup::coordinator {
namespace {

std::set<WorkerId> members_of(const JobRecords& job) {
  std::set<WorkerId> members;
  if (!job.plan) return members;
  for (const Participant& member : job.plan->value.members) members.insert(member.worker);
  return members;
}

// The fingerprint that every member must have: that of the present members, else the one that most workers have. Empty:
// any will do.
std::string common_fingerprint(const ClusterView& view, const JobRecords& job, const Roster& roster,
                               const std::set<WorkerId>& members) {
  if (job.spec->value.allow_mixed_fingerprints) return "";
  std::map<std::string, int> votes;
  for (const NodeId& id : roster.usable) {
    for (const WorkerRecord& worker : view.node(id)->workers) {
      if (worker.job != job.name || worker.fingerprint.empty()) continue;
      if (members.contains(worker.id)) return worker.fingerprint;
      ++votes[worker.fingerprint];
    }
  }
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == votes.end() ? "" : most->first;
}

}  // namespace

Newcomers find_newcomers(const ClusterView& view, const JobRecords& job, const Roster& roster,
                         std::vector<std::string>& notes) {
  Newcomers found;
  const std::set<WorkerId> members = members_of(job);
  const std::string fingerprint = common_fingerprint(view, job, roster, members);
  for (const NodeId& id : roster.usable) {
    const NodeRecord& node = *view.node(id);
    int ready = 0;
    int known = 0;
    for (const WorkerRecord& worker : node.workers) {
      if (worker.job == job.name && worker.state == WorkerState::kFailed && !worker.text.empty())
        notes.push_back("worker " + to_string(worker.id) + " cannot work for the job: " + worker.text);
      if (worker.job != job.name || worker.state == WorkerState::kFailed || worker.state == WorkerState::kFinished)
        continue;
      ++known;
      if (members.contains(worker.id)) continue;
      const bool is_ready = worker.state != WorkerState::kStarting && !worker.address.empty();
      if (!is_ready) {
        ++found.on_the_way;
        continue;
      }
      ++ready;
      if (!fingerprint.empty() && worker.fingerprint != fingerprint) {
        notes.push_back("worker " + to_string(worker.id) + " is refused: its fingerprint " + worker.fingerprint +
                        " is not the members' " + fingerprint +
                        "; give the node the same software and hardware, or set allow_mixed_fingerprints");
        continue;
      }
      const Participant participant{worker.id, worker.address, node.agent_address};
      found.ready.push_back(participant);
      if (job.plan && worker.state == WorkerState::kWarm && worker.epoch == job.plan->value.epoch) {
        found.warm.push_back(participant);
      } else {
        ++found.on_the_way;
      }
    }
    if (ready < node.slots) found.all_ready = false;
    if (known < node.slots) found.on_the_way += static_cast<std::size_t>(node.slots - known);
  }
  return found;
}

}  // namespace regroup::coordinator
