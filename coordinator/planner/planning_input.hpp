// planning_input.hpp: what the planner is asked: the workers that may train now, the plan before, and what the next one
// is to be best at. Plain values.
#pragma once

#include "api/job_spec.hpp"
#include "api/plan.hpp"
#include "api/records.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::planning {

// A worker that may be a member now.
struct Candidate {
  WorkerId worker;
  std::string address;
  std::string agent_address;
  std::string host;  // failure domains; may be empty
  std::string zone;
  std::int64_t memory_bytes = 0;  // what this worker may use; 0 = no limit known
};

enum class Goal { kSoonest, kBalanced };

struct PlannerInput {
  const JobSpec* job = nullptr;       // checked
  const Plan* previous = nullptr;     // what ranks keep now; null at the job's start; its donors are not looked at
  std::vector<Candidate> candidates;  // any order; each worker once
  Goal goal = Goal::kBalanced;
  // kBalanced: how many tokens each expert gets; null: experts are placed by count alone
  const LoadRecord* load = nullptr;
};

}  // namespace regroup::planning
