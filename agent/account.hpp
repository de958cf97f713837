// account.hpp: adds what workers and the keeper report to the agent's counters. Pure.
#pragma once

#include "agent/api/worker_protocol.hpp"
#include "agent/snapshots/keeper.hpp"
#include "metrics/counters.hpp"

namespace regroup::agent {

// `job`, `plan`: what the node works for; null where unknown.
void account(metrics::AgentCounters& counters, const JobSpec* job, const Plan* plan, const FromWorker& message, std::int64_t now_ms);
void account(metrics::AgentCounters& counters, const SnapshotKept& kept, std::int64_t now_ms);
void account(metrics::AgentCounters& counters, const CheckpointSaved& saved, std::int64_t now_ms);

}  // namespace regroup::agent
