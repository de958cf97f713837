// stopping.hpp: what becomes of a wish to stop a job. Pure.
//
// A job that trains and has a checkpoint directory saves first: it gets a plan that `ends`, with which its members
// train to a step boundary, write that step's checkpoint and say so. Any other job is over at once. Nobody waits for
// ever: the job is over unsaved when nobody has trained for Timing::stop_wait, and in any case after
// Timing::stop_limit.
#pragma once

#include "coordinator/core/cluster_view.hpp"

#include <optional>
#include <string>

namespace regroup::coordinator {

// Of an end that could not be saved: the newest checkpoint, as a sentence.
std::string what_is_left(const JobRecords& job);

bool stop_wished(const JobRecords& job);

// If the job is over because of the wish: the reason, for JobOutcome::reason. Empty while no stop is wished, or while
// the members still save. `state`: of the job's last Decision, unknown before there is one.
std::optional<std::string> why_stopped(const ClusterView& view, const JobRecords& job, JobState state, const Now& now);

}  // namespace regroup::coordinator
