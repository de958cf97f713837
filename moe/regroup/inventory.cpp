#include "moe/regroup/inventory.hpp"

#include "base/check.hpp"
#include "base/log.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"
#include "moe/state/wire.hpp"

#include <algorithm>
#include <bit>

namespace regroup {
namespace {

void put_blocks(WireWriter& out, const std::vector<HeldBlocks>& blocks) {
  std::vector<std::int32_t> flat;
  for (const HeldBlocks& held : blocks) {
    for (const Interval& interval : held.blocks.intervals())
      flat.insert(flat.end(), {held.unit, interval.lo, interval.hi});
  }
  out.put(flat);
}

std::vector<HeldBlocks> get_blocks(WireReader& in) {
  std::vector<HeldBlocks> blocks;
  const auto flat = in.get_vector<std::int32_t>();
  for (std::size_t i = 0; i + 2 < flat.size(); i += 3) {
    if (blocks.empty() || blocks.back().unit != flat[i]) blocks.push_back({flat[i], {}});
    blocks.back().blocks.add({flat[i + 1], flat[i + 2]});
  }
  return blocks;
}

std::int64_t or_none(const std::optional<Step>& step) { return step ? step->value : -1; }

}  // namespace

BadSteps Known::bad_until(Step step) const {
  if (const auto found = bad.find(step.value); found != bad.end()) return found->second;
  const auto before = bad.find(step.value - 1);
  const auto found = records.find(step.value);
  REGROUP_CHECK(before != bad.end() && found != records.end(), "nobody knows the history of step", step.value);
  return before->second.after(found->second.bad());
}

Known exchange_holdings(mesh::Mesh& mesh, const EpochView& view, const Holdings& mine) {
  WireWriter out;
  out.put(or_none(mine.live));
  out.put(or_none(mine.prepared));
  out.put(static_cast<std::uint8_t>(mine.record.has_value()));
  out.put(mine.record.value_or(VoteRecord{}));
  out.put(mine.bad);
  out.put(mine.validation);
  out.put(static_cast<std::uint8_t>(mine.untouched));
  put_blocks(out, mine.blocks);
  const auto all =
      must(all_gather_v(mesh, view.participant_ranks(), make_tag(Step(0), TransferOp::kInventory), out.bytes()));
  Known known;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    WireReader in(all[rank]);
    const auto live = in.get<std::int64_t>();
    const auto prepared = in.get<std::int64_t>();
    const bool has_record = in.get<std::uint8_t>() != 0;
    const auto record = in.get<VoteRecord>();
    const auto bad = in.get<BadSteps>();
    const auto validation = in.get<ValidationRecord>();
    const bool untouched = in.get<std::uint8_t>() != 0;
    const auto blocks = get_blocks(in);
    if (!in.ok())
      throw Interrupted{{Code::kCorrupt, "the inventory of rank " + std::to_string(rank) + " is cut short"}};
    if (has_record) {
      const auto [at, fresh] = known.records.emplace(record.step, record);
      const VoteRecord& other = at->second;
      // As bits: the sums of a bad step are no numbers, and must equal themselves.
      const auto bits = [](double sum) { return std::bit_cast<std::uint64_t>(sum); };
      if (!fresh && (bits(other.sum_of_squares) != bits(record.sum_of_squares) ||
                     bits(other.loss_sum) != bits(record.loss_sum) || other.targets != record.targets)) {
        throw Interrupted{{Code::kInternal, "two workers committed step " + std::to_string(record.step) +
                                                " with different sums: one of them computed wrongly"}};
      }
    }
    known.untouched = known.untouched || untouched;
    if (validation.step == known.validation.step && validation != known.validation) {
      throw Interrupted{{Code::kInternal, "two workers validated step " + std::to_string(validation.step) +
                                              " with different losses: one of them computed wrongly"}};
    }
    if (validation.step > known.validation.step) known.validation = validation;
    if (live >= 0 && known.bad.emplace(live, bad).first->second != bad) {
      throw Interrupted{{Code::kInternal, "two workers count the bad steps until step " + std::to_string(live) +
                                              " differently: one of them computed wrongly"}};
    }
    if (live >= 0) known.inventories.push_back({static_cast<int>(rank), StateKind::kLive, Step(live), blocks});
    if (prepared >= 0)
      known.inventories.push_back({static_cast<int>(rank), StateKind::kPrepared, Step(prepared), blocks});
  }
  return known;
}

void exchange_snapshots(mesh::Mesh& mesh, const EpochView& view, Known& known) {
  // Which agents this member asks: its own, if no lower rank shares it, and the donors that the plan sends through it.
  std::vector<std::string> mine;
  if (!view.is_donor()) {
    const auto& members = view.plan.members;
    const std::string& own = members[static_cast<std::size_t>(view.self.value)].agent_address;
    const auto first =
        std::find_if(members.begin(), members.end(), [&](const Participant& p) { return p.agent_address == own; });
    if (first - members.begin() == view.self.value && !own.empty()) mine.push_back(own);
  }
  for (const SnapshotDonor& donor : view.plan.snapshot_donors) {
    if (donor.through == view.self) mine.push_back(donor.agent_address);
  }
  WireWriter out;
  std::vector<std::pair<std::string, HeldSnapshot>> found;
  for (const std::string& agent : mine) {
    auto client = SnapshotClient::connect(agent, view.plan.job, view.job->spec.secret,
                                          std::chrono::milliseconds(view.job->spec.heartbeat_ms * 10));
    auto list = client ? (*client)->list() : Result<std::vector<HeldSnapshot>>(client.error());
    if (!list) {
      log::warn("snapshots_not_listed", {{"agent", agent}, {"error", to_string(list.error())}});
      continue;
    }
    for (HeldSnapshot& snapshot : *list) found.emplace_back(agent, std::move(snapshot));
  }
  out.put(static_cast<std::uint64_t>(found.size()));
  for (const auto& [agent, snapshot] : found) {
    out.put(agent);
    out.put(snapshot.info.step.value);
    out.put(snapshot.info.bad);
    std::map<int, IntervalSet> units;
    for (const SnapshotEntry& entry : snapshot.info.entries) units[entry.unit].add(entry.blocks);
    std::vector<HeldBlocks> blocks;
    for (auto& [unit, set] : units) blocks.push_back({unit, std::move(set)});
    put_blocks(out, blocks);
  }
  const auto all =
      must(all_gather_v(mesh, view.participant_ranks(), make_tag(Step(0), TransferOp::kSnapshots), out.bytes()));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    WireReader in(all[rank]);
    const auto count = in.get<std::uint64_t>();
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
      const std::string agent = in.get_string();
      const Step step(in.get<std::int64_t>());
      known.bad.emplace(step.value, in.get<BadSteps>());
      const auto at = std::find(known.agents.begin(), known.agents.end(), agent);
      const int position = static_cast<int>(at - known.agents.begin());
      if (at == known.agents.end()) known.agents.push_back(agent);
      known.inventories.push_back({kAgentHolder + position, StateKind::kSnapshot, step, get_blocks(in)});
    }
    if (!in.ok())
      throw Interrupted{{Code::kCorrupt, "the snapshot inventory of rank " + std::to_string(rank) + " is cut short"}};
  }
}

}  // namespace regroup
