// outcome.hpp: whether a job is over, and how it ended. Pure.
#pragma once

#include "api/job_status.hpp"
#include "coordinator/core/cluster_view.hpp"

#include <optional>

namespace regroup::coordinator {

// Finished or failed by what its members say, or stopped by a wish; empty while it goes on. `state`: of the job's last
// Decision, unknown before there is one; `failure`: why it cannot go on, empty where it can.
std::optional<JobOutcome> outcome_of(const ClusterView& view, const JobRecords& job, JobState state, const Now& now,
                                     const std::string& failure = {});

}  // namespace regroup::coordinator
