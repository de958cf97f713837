// inventory.hpp: the participants of a new epoch tell each other which blocks of which step they hold: the bytes and
// the exchange. What follows from it is decided in layout/settle.hpp.
#pragma once

#include "api/snapshots/snapshot_client.hpp"
#include "layout/settle.hpp"
#include "mesh/mesh.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/held_shards.hpp"
#include "moe/state/validation.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace regroup {

// What one worker holds.
struct Holdings {
  std::optional<Step> live;
  std::optional<Step> prepared;      // the step that its reduced gradients lead to
  std::vector<HeldBlocks> blocks;    // of the live state
  std::optional<VoteRecord> record;  // of the last commit
  BadSteps bad;                      // up to `live`
  ValidationRecord validation;       // the newest that it knows
  struct Moved {                     // of what interrupted attempts brought
    Step step;
    BadSteps bad;
    std::vector<HeldBlocks> blocks;
  };
  std::vector<Moved> moved;
};

// Everybody's, and what follows from them. Holders: a rank, or kAgentHolder + position in `agents`.
inline constexpr int kAgentHolder = 1 << 20;
struct Known {
  std::vector<Inventory> inventories;
  std::map<std::int64_t, VoteRecord> records;  // by step
  std::vector<std::string> agents;             // addresses of agents with snapshots
  std::set<std::pair<int, int>> unanswered;    // rank, holder: that agent failed when that member asked it last
  std::map<std::string, int> silent;           // agents that listed nothing when that rank asked
  std::map<std::int64_t, BadSteps> bad;        // by step, as live state and snapshots know it
  ValidationRecord validation;                 // the newest that anybody knows; it need not be computed again
  // Of a step settled on. Rolling forward adds one.
  [[nodiscard]] BadSteps bad_until(Step step) const;
  // A snapshot on the member's own node: it need not cross a network.
  [[nodiscard]] bool is_own_agent(const EpochView& view, int holder, Rank member) const;
};

// Throws Interrupted. kInternal inside it when two vote records of one step differ: then bits were lost somewhere.
Known exchange_holdings(mesh::Mesh& mesh, const EpochView& view, const Holdings& mine);
// Adds the snapshots of the agents: those beside members and the plan's snapshot donors, each asked by one member. An
// agent that does not answer is not listed. `unanswered`: as in snapshot_fetch.hpp.
void exchange_snapshots(mesh::Mesh& mesh, const EpochView& view, Known& known, std::set<std::string>& unanswered);
// Those that were silent, asked again by other members: it may be one connection that is cut.
void exchange_snapshots_again(mesh::Mesh& mesh, const EpochView& view, Known& known, std::set<std::string>& unanswered);

Result<std::unique_ptr<SnapshotClient>> connect_to_agent(const EpochView& view, const std::string& address);

}  // namespace regroup
