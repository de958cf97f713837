// settle.hpp: which step a new epoch goes on from, and where each block of it comes from. Pure; every member computes
// the same.
//
// Rule: the newest step of which every block is held. Sources of one step may mix live state, prepared state (owner
// holds the reduced gradients of step s and state of s-1; counts as s only when a vote record of s exists) and
// snapshots of that step. The durable checkpoint frozen in the plan is complete by itself: it wins when no complete
// step in memory is at least as new. Only when `fresh` is allowed, for nothing was ever in safety: initial weights
// (step 0). Otherwise: wait, and say what is missing.
#pragma once

#include "base/ids.hpp"
#include "base/state_source.hpp"
#include "layout/interval.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace regroup {

enum class StateKind { kLive, kPrepared, kSnapshot };

struct HeldBlocks {
  int unit = 0;
  IntervalSet blocks;
  friend auto operator<=>(const HeldBlocks&, const HeldBlocks&) = default;
};

// One set of blocks of one step that a participant (member, donor, or an agent's snapshot behind a member) can serve.
struct Inventory {
  int holder = 0;
  StateKind kind = StateKind::kLive;
  // kPrepared: the step it becomes by rolling forward; its state of step - 1 is a kLive inventory of its own
  Step step;
  std::vector<HeldBlocks> blocks;  // ascending unit
};

struct SettleInput {
  int num_units = 0;
  std::vector<Inventory> inventories;
  std::vector<Step> vote_records;  // steps of which some participant has the whole vote record
  std::optional<Step> checkpoint;  // the durable one frozen in the plan
  bool fresh_allowed = false;      // no snapshot was ever in safety, and there was no checkpoint
};

struct Settlement {
  std::optional<StateSource> source;  // kLive: also of prepared state; none: wait, `reason` says for what
  Step step;
  std::vector<int> roll_forward;  // holders whose prepared state must be applied first
  // indices into inventories that may serve blocks, ascending; which of them serves what is route's business
  std::vector<int> usable;
  std::string reason;  // for people and tests
};

Settlement settle(const SettleInput& input);

}  // namespace regroup
