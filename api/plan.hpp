// plan.hpp: who trains, who holds what. Immutable once published; all else is derived from it by pure functions.
#pragma once

#include "api/job_spec.hpp"
#include "api/words.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "layout/placement.hpp"

#include <optional>
#include <string>
#include <vector>

namespace regroup {

enum class Origin { kFresh, kResume };
enum class When { kNow, kBoundary };  // abort the step under way, or switch after a committed one
inline constexpr Words<When, 2> kWhenWords{{"now", "boundary"}};

struct Participant {
  WorkerId worker;
  std::string address;        // of its mesh listener: "unix:PATH" or "tcp:HOST:PORT"
  std::string agent_address;  // of its agent's peer port, same forms; serves snapshots
  friend bool operator==(const Participant&, const Participant&) = default;
};

struct SnapshotDonor {  // an agent without a member of its own whose snapshots may be needed
  NodeId node;
  std::string agent_address;
  Rank through;  // the member that fetches its inventory and speaks for it
  friend bool operator==(const SnapshotDonor&, const SnapshotDonor&) = default;
};

struct Plan {
  Epoch epoch;
  Epoch parent;
  std::string job;
  Origin origin = Origin::kResume;
  When when = When::kNow;
  // at a boundary: nobody enters this plan; its members save the step before, and the job is stopped
  bool ends = false;
  Cause cause = Cause::kStart;
  std::string reason;                // a sentence, for people
  int retries = 0;                   // how many plans in a row, up to this one, were retries: without a commit between
  int faults = 0;                    // of these, how many in a row because all members saw one fault
  std::vector<Participant> members;  // index = rank
  Placement placement;               // ranks not in any group are spares
  std::vector<Participant> donors;   // live workers outside the plan that are asked for state; ranks members.size()...
  std::vector<SnapshotDonor> snapshot_donors;
  std::optional<Step> checkpoint_step;  // newest durable checkpoint when the plan was made
  std::string checkpoint_path;          // its directory
  std::int64_t detected_at_ms = 0;  // wall clock of the first evidence and of the decision, for the regroup's report
  std::int64_t decided_at_ms = 0;
  friend bool operator==(const Plan&, const Plan&) = default;
};

// One of them is on this node.
bool any_on(const std::vector<Participant>& participants, const NodeId& node);
// As a member's node, a donor's or a snapshot donor's.
bool names_node(const Plan& plan, const NodeId& node);

// The members do the step again from a snapshot or a checkpoint: what they hold live gave the same fault twice.
inline bool leaves_live_out(const Plan& plan) { return plan.faults > 1; }

// Violations, each one sentence; empty = good. Run before publishing, on receipt, in every test.
std::vector<std::string> check_plan(const Plan& plan, const JobSpec& job);

std::string to_json(const Plan& plan);
Result<Plan> plan_from_json(const std::string& text);

}  // namespace regroup
