// account.hpp: adds what workers and the keeper report to the agent's counters. Pure.
#pragma once

#include "api/keeper_reports.hpp"
#include "api/worker_protocol.hpp"
#include "metrics/counters.hpp"

#include <string>

namespace regroup::agent {

// What counts for a job begins anew with another one (empty: none); what counts for the node goes on.
void follow(metrics::AgentCounters& counters, const std::string& job);

// `job`, `plan`: what the node works for; null where unknown.
void account(metrics::AgentCounters& counters, const JobSpec* job, const Plan* plan, const FromWorker& message,
             std::int64_t now_ms);
void account(metrics::AgentCounters& counters, const SnapshotKept& kept, std::int64_t now_ms);
void account(metrics::AgentCounters& counters, const CheckpointSaved& saved, std::int64_t now_ms);

}  // namespace regroup::agent
