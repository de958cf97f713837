// roster.hpp: which nodes a job may use now, which shall leave it and why, and who is assigned to what. Pure.
//
// A node works for at most one job. It is assigned when it is free and a job lacks nodes, and it leaves when it must
// (a notice, a drain), when the job is to have fewer nodes, or when the job is over.
#pragma once

#include "api/words.hpp"
#include "coordinator/core/cluster_view.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace regroup::coordinator {

// Why a node shall leave.
struct Leaving {
  Cause cause = Cause::kDrain;  // kDrain or kScale: of the plan in which it does
  std::string why;              // for people
};

// The nodes assigned to one job.
struct Roster {
  std::set<NodeId> usable;            // live, assigned and not leaving
  std::map<NodeId, Leaving> leaving;  // live and assigned, but shall leave
  int target = 0;                     // how many nodes the job wants
  std::string target_reason;          // when a wish was cut to the job's limits
};

Roster roster_of(const ClusterView& view, const JobRecords& job);

// Submitted, readable, not over and not asked to stop.
bool is_active(const JobRecords& job);

// The active ones of these, in order of submission.
std::vector<std::string> jobs_in_order(const ClusterView& view, const std::set<std::string>& jobs);

struct AssignmentChange {
  NodeId node;
  std::string job;  // empty: the assignment is taken back
  std::string reason;
};

// What to change now. `jobs`: names, among them all active ones. Jobs get nodes in order of submission. A job after the
// first takes none before it can have min_nodes of them: otherwise two jobs could each hold too few and both wait.
std::vector<AssignmentChange> assign_nodes(const ClusterView& view, const std::set<std::string>& jobs, const Now& now);

// Wishes to remove, with their mod revisions: they are done, or a later wish says otherwise.
std::map<std::string, std::int64_t> spent_wishes(const JobRecords& job);

}  // namespace regroup::coordinator
