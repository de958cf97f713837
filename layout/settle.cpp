#include "layout/settle.hpp"

#include "base/check.hpp"
#include "layout/units.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace regroup {
namespace {

using Cover = std::vector<IntervalSet>;  // [unit] blocks that somebody has

void add(Cover& cover, const Inventory& inventory) {
  for (const HeldBlocks& held : inventory.blocks) {
    CHECK(held.unit >= 0 && static_cast<std::size_t>(held.unit) < cover.size(), "unit", held.unit, "of", cover.size());
    cover[held.unit] = cover[held.unit].empty() ? held.blocks : cover[held.unit].unite(held.blocks);
  }
}

bool adds_to(const Cover& cover, const Inventory& inventory) {
  return std::any_of(inventory.blocks.begin(), inventory.blocks.end(),
                     [&](const HeldBlocks& held) { return !held.blocks.subtract(cover[held.unit]).empty(); });
}

bool complete(const Cover& cover) {
  return std::all_of(cover.begin(), cover.end(), [](const IntervalSet& blocks) {
    return blocks.contains({0, kBlocksPerUnit});
  });
}

std::string what_is_missing(const Cover& cover) {
  const IntervalSet whole{{0, kBlocksPerUnit}};
  std::string first;
  int units = 0;
  for (std::size_t unit = 0; unit < cover.size(); ++unit) {
    const IntervalSet missing = whole.subtract(cover[unit]);
    if (missing.empty()) continue;
    if (units++ == 0) {
      const Interval gap = missing.intervals().front();
      first = "blocks [" + std::to_string(gap.lo) + ", " + std::to_string(gap.hi) + ") of unit " + std::to_string(unit);
    }
  }
  if (units > 1) first += " and parts of " + std::to_string(units - 1) + " other unit" + (units > 2 ? "s" : "");
  return first;
}

// What is held of one step.
struct StepState {
  std::vector<int> live;  // indices of live inventories, and of prepared ones whose step has a vote record
  std::vector<int> snapshots;
};

}  // namespace

Settlement settle(const SettleInput& input) {
  CHECK(input.num_units > 0, "units", input.num_units);
  const std::set<Step> recorded(input.vote_records.begin(), input.vote_records.end());
  std::map<Step, StepState, std::greater<>> steps;  // newest first
  for (std::size_t i = 0; i < input.inventories.size(); ++i) {
    const Inventory& inventory = input.inventories[i];
    if (inventory.blocks.empty()) continue;
    if (inventory.kind == StateKind::kPrepared && !recorded.contains(inventory.step)) continue;
    StepState& state = steps[inventory.step];
    (inventory.kind == StateKind::kSnapshot ? state.snapshots : state.live).push_back(static_cast<int>(i));
  }

  Settlement settlement;
  std::string gaps;  // of the newest step, for the reason
  for (const auto& [step, state] : steps) {
    if (input.checkpoint && *input.checkpoint > step) break;  // the durable one is newer than all that follow
    Cover cover(static_cast<std::size_t>(input.num_units));
    for (int i : state.live) add(cover, input.inventories[i]);
    settlement.usable = state.live;
    bool from_snapshots = false;
    if (!complete(cover)) {
      const Cover live_cover = cover;
      for (int i : state.snapshots) {
        add(cover, input.inventories[i]);
        if (adds_to(live_cover, input.inventories[i])) settlement.usable.push_back(i);
      }
      from_snapshots = true;
    }
    if (!complete(cover)) {
      if (gaps.empty()) gaps = "step " + std::to_string(step.value) + " lacks " + what_is_missing(cover);
      continue;
    }
    settlement.source = from_snapshots ? StateSource::kSnapshot : StateSource::kLive;
    settlement.step = step;
    std::sort(settlement.usable.begin(), settlement.usable.end());
    std::set<int> rolling;
    for (int i : settlement.usable) {
      if (input.inventories[i].kind == StateKind::kPrepared) rolling.insert(input.inventories[i].holder);
    }
    settlement.roll_forward.assign(rolling.begin(), rolling.end());
    settlement.reason = std::string(from_snapshots ? "live copies and snapshots together hold" : "live copies hold") +
                        " every block of step " + std::to_string(step.value);
    if (!rolling.empty())
      settlement.reason += ", " + std::to_string(rolling.size()) + " of them after applying the voted update";
    if (!gaps.empty()) settlement.reason += "; " + gaps;
    return settlement;
  }

  settlement.usable.clear();
  const std::string why = gaps.empty() ? "nobody holds state" : gaps;
  if (input.checkpoint) {
    settlement.source = StateSource::kCheckpoint;
    settlement.step = *input.checkpoint;
    settlement.reason = "the durable checkpoint of step " + std::to_string(input.checkpoint->value) +
                        " is the newest complete state; " + why;
  } else if (input.fresh_allowed) {
    settlement.source = StateSource::kFresh;
    settlement.reason = gaps.empty()
                            ? "the job is new: initial weights"
                            : "nothing of the job was in safety yet: it begins anew from initial weights; " + gaps;
  } else {
    settlement.reason =
        why + ", and there is no durable checkpoint: waiting for a worker or an agent that holds the rest";
  }
  return settlement;
}

}  // namespace regroup
