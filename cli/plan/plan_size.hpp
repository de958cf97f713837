// plan_size.hpp: whether a job's plans fit into etcd. Pure: the real planner on imagined nodes.
#pragma once

#include "api/job_spec.hpp"
#include "base/result.hpp"

namespace regroup::cli {

// kBadInput, with both numbers: the plan for elastic.max_nodes nodes of one worker each would be larger than a plan may
// be. One that fits may still outgrow it, after losses or with several workers a node: then the job waits, and its
// status says so.
Result<void> check_plan_size(const JobSpec& job);

}  // namespace regroup::cli
