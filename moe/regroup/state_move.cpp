#include "moe/regroup/state_move.hpp"

#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <xxhash.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

namespace regroup {
namespace {

// A snapshot on the receiver's own node: it need not cross a network.
bool is_own_agent(const EpochView& view, const Known& known, int holder, Rank rank) {
  if (holder < kAgentHolder || static_cast<std::size_t>(rank.value) >= view.plan.members.size()) return false;
  return known.agents[static_cast<std::size_t>(holder - kAgentHolder)] ==
         view.plan.members[static_cast<std::size_t>(rank.value)].agent_address;
}

std::vector<Piece> pieces_of(const EpochView& view, const Known& known, const Settlement& settlement) {
  std::vector<Holding> held, wanted;
  for (const int i : settlement.usable) {
    const Inventory& inventory = known.inventories[static_cast<std::size_t>(i)];
    for (const HeldBlocks& blocks : inventory.blocks) held.push_back({inventory.holder, blocks.unit, blocks.blocks});
  }
  std::vector<std::int64_t> block_bytes;
  for (const Unit& unit : view.job->units) {
    block_bytes.push_back(unit.block_elements * static_cast<std::int64_t>(3 * sizeof(float)));
    for (const Rank rank : view.member_ranks()) {
      IntervalSet kept = view.kept(unit.index, rank);
      if (!kept.empty()) wanted.push_back({rank.value, unit.index, std::move(kept)});
    }
  }
  const auto members = static_cast<int>(view.plan.members.size());
  const auto node_of = [&](int rank) -> const NodeId& {
    return rank < members ? view.plan.members[static_cast<std::size_t>(rank)].worker.node
                          : view.plan.donors[static_cast<std::size_t>(rank - members)].worker.node;
  };
  const auto distance = [&](int from, int to) {
    if (is_own_agent(view, known, from, Rank(to))) return 0;
    return from >= kAgentHolder ? 2 : node_of(from) == node_of(to) ? 0 : 1;
  };
  RouteResult result = route(held, wanted, block_bytes, distance);
  REGROUP_CHECK(result.missing.empty(), "settled without a source for unit",
                result.missing.empty() ? 0 : result.missing.front().unit);
  return std::move(result.pieces);
}

}  // namespace

std::span<float> StateMove::part(const ShardStore& of, const Piece& piece, int array) const {
  const ShardPtr shard = of.containing(piece.unit, piece.blocks);
  REGROUP_CHECK(shard != nullptr, "no shard holds unit", piece.unit, "blocks", piece.blocks.lo, piece.blocks.hi);
  return {shard->array(array) + shard->element_of(piece.blocks.lo),
          static_cast<std::size_t>(piece.blocks.size() * shard->block_elements)};
}

void StateMove::run() {
  std::map<std::pair<int, int>, int> numbers;
  std::map<int, std::vector<std::span<float>>> arriving;  // by sender
  std::vector<mesh::TransferPtr> transfers;
  std::vector<Piece> from_agents;
  for (const Piece& piece : pieces_of(view_, known_, settlement_)) {
    if (piece.from >= kAgentHolder) {
      if (piece.to == view_.self.value) from_agents.push_back(piece);
      continue;
    }
    int& number = numbers[{piece.from, piece.to}];
    for (int array = 0; array < 3; ++array, ++number) {
      const mesh::Tag tag = make_tag(kNoStep, TransferOp::kMove, number);
      if (piece.from == view_.self.value) {
        const std::span<float> data = part(from_, piece, array);
        hashes_[piece.to].push_back(XXH3_64bits(data.data(), data.size_bytes()));
        transfers.push_back(mesh_.send(Rank(piece.to), tag, std::as_bytes(data)));
      } else if (piece.to == view_.self.value) {
        const std::span<float> data = part(to_, piece, array);
        arriving[piece.from].push_back(data);
        transfers.push_back(mesh_.receive(Rank(piece.from), tag, std::as_writable_bytes(data)));
        bytes_received += static_cast<std::int64_t>(data.size_bytes());
      }
    }
  }
  const mesh::Tag hash_tag = make_tag(kNoStep, TransferOp::kMoveHashes);
  for (const auto& [peer, hashes] : hashes_)
    transfers.push_back(mesh_.send(Rank(peer), hash_tag, std::as_bytes(std::span(hashes)), mesh::Lane::kControl));
  std::map<int, mesh::TransferPtr> hash_messages;
  for (const auto& [peer, parts] : arriving) hash_messages[peer] = mesh_.receive_message(Rank(peer), hash_tag);
  fetch_from_agents(from_agents);
  for (const mesh::TransferPtr& transfer : transfers) must(mesh_.wait(transfer));
  for (const auto& [peer, parts] : arriving) {
    const auto bytes = must(mesh_.wait_message(hash_messages.at(peer)));
    REGROUP_CHECK(bytes.size() == parts.size() * sizeof(std::uint64_t), "checksums from rank", peer);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      std::uint64_t expected = 0;
      std::memcpy(&expected, bytes.data() + i * sizeof expected, sizeof expected);
      REGROUP_CHECK(XXH3_64bits(parts[i].data(), parts[i].size_bytes()) == expected, "state from rank", peer,
                    "arrived with a wrong checksum");
    }
  }
}

void StateMove::fetch_from_agents(const std::vector<Piece>& pieces) {
  std::map<int, std::unique_ptr<SnapshotClient>> clients;
  for (const Piece& piece : pieces) {
    interrupt_();
    auto& client = clients[piece.from];
    const std::string& address = known_.agents[static_cast<std::size_t>(piece.from - kAgentHolder)];
    if (!client)
      client = must(SnapshotClient::connect(address, view_.plan.job, view_.job->spec.secret,
                                            std::chrono::milliseconds(view_.job->spec.heartbeat_ms * 10)));
    const std::size_t count = part(to_, piece, 0).size();
    const Floats buffer(static_cast<std::int64_t>(3 * count));
    must(client->fetch(settlement_.step, piece.unit, piece.blocks, buffer.span()));
    for (int array = 0; array < 3; ++array) {
      const std::span<float> data = part(to_, piece, array);
      std::memcpy(data.data(), buffer.data() + static_cast<std::size_t>(array) * count, data.size_bytes());
    }
    const auto bytes = static_cast<std::int64_t>(buffer.span().size_bytes());
    bytes_received += bytes;
    if (is_own_agent(view_, known_, piece.from, view_.self)) bytes_from_own_agent += bytes;
  }
}

}  // namespace regroup
