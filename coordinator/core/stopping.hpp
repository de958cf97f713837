// stopping.hpp: what becomes of a wish to stop a job. Pure.
//
// A job that trains and has a checkpoint directory saves first: a plan that `ends` lets its members train to a step
// boundary, write that step's checkpoint and say so. Otherwise it is over at once. No stop waits without end: not
// longer than Timing::stop_wait when nobody trains, not longer than Timing::stop_limit at all.
#pragma once

#include "coordinator/core/cluster_view.hpp"

#include <optional>
#include <string>

namespace regroup::coordinator {

bool stop_wished(const JobRecords& job);

// Nothing: it is not wished, or the members still save. Else: why it is over now, for JobOutcome::reason. `state`: of
// the job's last Decision, empty before there is one.
std::optional<std::string> why_stopped(const ClusterView& view, const JobRecords& job, const std::string& state,
                                       const Now& now);

}  // namespace regroup::coordinator
