// inventory_snapshots.cpp: the snapshots' part of inventory.hpp.
#include "base/log.hpp"
#include "moe/regroup/held_blocks_wire.hpp"
#include "moe/regroup/inventory.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <algorithm>
#include <chrono>
#include <future>

namespace regroup {
namespace {

constexpr int kAskedAgainBy = 2;  // members

using Listing = Result<std::vector<HeldSnapshot>>;

// All at once: several that are silent cost one timeout.
std::map<std::string, Listing> list_all(const EpochView& view, const std::set<std::string>& agents) {
  std::map<std::string, std::future<Listing>> asked;
  for (const std::string& agent : agents)
    asked.emplace(agent, std::async(std::launch::async, [&view, &agent]() -> Listing {
                    auto client = connect_to_agent(view, agent);
                    return client ? (*client)->list() : client.error();
                  }));
  std::map<std::string, Listing> listings;
  for (auto& [agent, future] : asked) listings.emplace(agent, future.get());
  return listings;
}

void put_snapshots(WireWriter& out, const std::vector<HeldSnapshot>& snapshots) {
  out.put(static_cast<std::uint64_t>(snapshots.size()));
  for (const HeldSnapshot& snapshot : snapshots) {
    out.put(snapshot.info.step.value);
    out.put(snapshot.info.bad);
    UnitBlocks blocks;
    for (const SnapshotEntry& entry : snapshot.info.entries) blocks[entry.unit].add(entry.blocks);
    put_blocks(out, listed(blocks));
  }
}

int holder_of(Known& known, const std::string& agent) {
  const auto at = std::find(known.agents.begin(), known.agents.end(), agent);
  const auto position = static_cast<int>(at - known.agents.begin());
  if (at == known.agents.end()) known.agents.push_back(agent);
  return kAgentHolder + position;
}

void get_snapshots(WireReader& in, int holder, Known& known) {
  for (auto count = in.get<std::uint64_t>(); count > 0 && in.ok(); --count) {
    const Step step(in.get<std::int64_t>());
    known.bad.emplace(step.value, in.get<BadSteps>());
    known.inventories.push_back({holder, StateKind::kSnapshot, step, get_blocks(in)});
  }
}

// Everybody asks its agents and tells all what they listed.
void exchange(mesh::Mesh& mesh, const EpochView& view, Known& known, std::set<std::string>& unanswered,
              const std::set<std::string>& mine, std::int64_t round) {
  WireWriter out;
  out.put(static_cast<std::uint64_t>(mine.size()));
  for (const auto& [agent, list] : list_all(view, mine)) {
    out.put(agent);
    out.put(static_cast<std::uint8_t>(list.has_value()));
    if (list) {
      unanswered.erase(agent);
      put_snapshots(out, *list);
    } else {
      unanswered.insert(agent);
      log::warn("snapshots_not_listed", {{"agent", agent}, {"error", to_string(list.error())}});
    }
  }
  out.put(static_cast<std::uint64_t>(unanswered.size()));
  for (const std::string& agent : unanswered) out.put(agent);
  const auto all =
      must(all_gather_v(mesh, view.participant_ranks(), make_tag(Step(0), TransferOp::kSnapshots, round), out.bytes()));
  std::map<std::string, int> silent;
  std::set<std::string> answered;
  for (int rank = 0; rank < static_cast<int>(all.size()); ++rank) {
    WireReader in(all[static_cast<std::size_t>(rank)]);
    for (auto count = in.get<std::uint64_t>(); count > 0 && in.ok(); --count) {
      const std::string agent = in.get_string();
      if (in.get<std::uint8_t>() == 0) {
        silent.emplace(agent, rank);
      } else if (answered.insert(agent).second) {
        get_snapshots(in, holder_of(known, agent), known);
      } else {
        Known same;
        get_snapshots(in, 0, same);
      }
    }
    for (auto count = in.get<std::uint64_t>(); count > 0 && in.ok(); --count)
      known.unanswered.emplace(rank, holder_of(known, in.get_string()));
    if (!in.ok())
      throw Interrupted{{Code::kCorrupt, "the snapshot inventory of rank " + std::to_string(rank) + " is cut short"}};
  }
  for (const std::string& agent : answered) silent.erase(agent);
  known.silent = std::move(silent);
}

}  // namespace

bool Known::is_own_agent(const EpochView& view, int holder, Rank member) const {
  const auto rank = static_cast<std::size_t>(member.value);
  return holder >= kAgentHolder && rank < view.plan.members.size() &&
         agents[static_cast<std::size_t>(holder - kAgentHolder)] == view.plan.members[rank].agent_address;
}

Result<std::unique_ptr<SnapshotClient>> connect_to_agent(const EpochView& view, const std::string& address) {
  return SnapshotClient::connect(address, view.plan.job, view.job->spec.secret,
                                 std::chrono::milliseconds(view.job->spec.heartbeat_ms * 10));
}

void exchange_snapshots(mesh::Mesh& mesh, const EpochView& view, Known& known, std::set<std::string>& unanswered) {
  // Which agents this member asks: its own, if no lower rank shares it, and the donors that the plan sends through it.
  std::set<std::string> mine;
  if (!view.is_donor()) {
    const auto& members = view.plan.members;
    const std::string& own = members[static_cast<std::size_t>(view.self.value)].agent_address;
    const auto first =
        std::find_if(members.begin(), members.end(), [&](const Participant& p) { return p.agent_address == own; });
    if (first - members.begin() == view.self.value && !own.empty()) mine.insert(own);
  }
  std::set<std::string> of_plan;
  for (const Participant& member : view.plan.members) of_plan.insert(member.agent_address);
  for (const SnapshotDonor& donor : view.plan.snapshot_donors) {
    if (donor.through == view.self) mine.insert(donor.agent_address);
    of_plan.insert(donor.agent_address);
  }
  std::erase_if(unanswered, [&](const std::string& agent) { return !of_plan.contains(agent); });
  exchange(mesh, view, known, unanswered, mine, 0);
}

void exchange_snapshots_again(mesh::Mesh& mesh, const EpochView& view, Known& known,
                              std::set<std::string>& unanswered) {
  const auto members = static_cast<int>(view.plan.members.size());
  std::set<std::string> mine;
  for (const auto& [agent, asked_by] : known.silent)
    for (int i = 1; i <= std::min(kAskedAgainBy, members - 1); ++i)
      if ((asked_by + i) % members == view.self.value) mine.insert(agent);
  exchange(mesh, view, known, unanswered, mine, 1);
}

}  // namespace regroup
