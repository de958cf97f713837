// json_values.hpp: the values that several records and messages hold, as JSON values (frozen) and read back: what is
// already a value is never printed and parsed in between. For .cpp files only, as base/json_fields.hpp; inside
// json::read_json.
#pragma once

#include "api/plan.hpp"
#include "api/worker_protocol.hpp"
#include "base/json_fields.hpp"

#include <vector>

namespace regroup {

json::Json to_value(const JobSpec& job);
JobSpec read_job(const json::Field& in);

json::Json to_value(const Plan& plan);
Plan read_plan(const json::Field& in);

// [{"worker", "address", "agent_address"}, ...]
json::Json to_value(const std::vector<Participant>& participants);
std::vector<Participant> read_participants(const json::Field& in);

// [{"whom", "evidence", "seen_at_ms"}, ...]. Evidence of another version accuses as well, as kEof: the worker is lost
// to somebody.
json::Json to_value(const std::vector<Suspicion>& suspicions);
std::vector<Suspicion> read_suspicions(const json::Field& in);

// [[lo, hi], ...]
json::Json to_value(const IntervalSet& blocks);
IntervalSet read_blocks(const json::Field& in);

// [total, in a row]
json::Json to_value(const BadSteps& bad);
BadSteps read_bad_steps(const json::Field& in);

// [[unit, lo, hi], ...]: what a snapshot holds, wherever its bytes lie. Read with offset 0.
std::vector<SnapshotEntry> read_entries(const json::Field& in);

}  // namespace regroup
