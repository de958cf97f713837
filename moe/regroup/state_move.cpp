#include "moe/regroup/state_move.hpp"

#include "moe/regroup/snapshot_fetch.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace regroup {
namespace {

// A worker may hold its blocks in several stores, each an inventory of its own: no piece crosses from one to the next.
std::vector<Piece> cut(const std::vector<Piece>& pieces, const Known& known, const Settlement& settlement) {
  std::vector<Piece> parts;
  for (const Piece& piece : pieces) {
    Piece part = piece;
    while (part.from < kAgentHolder && part.blocks.lo < piece.blocks.hi) {
      part.blocks.hi = part.blocks.lo;
      for (const int i : settlement.usable) {
        const Inventory& inventory = known.inventories[static_cast<std::size_t>(i)];
        if (inventory.holder != piece.from || part.blocks.hi > part.blocks.lo) continue;
        for (const HeldBlocks& held : inventory.blocks) {
          if (held.unit != piece.unit) continue;
          for (const Interval& interval : held.blocks.intervals())
            if (interval.lo <= part.blocks.lo && part.blocks.lo < interval.hi)
              part.blocks.hi = std::min(piece.blocks.hi, interval.hi);
        }
      }
      REGROUP_CHECK(part.blocks.hi > part.blocks.lo, "rank", piece.from, "was to send what it has not");
      parts.push_back(part);
      part.blocks.lo = part.blocks.hi;
    }
    if (piece.from >= kAgentHolder) parts.push_back(piece);
  }
  return parts;
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
    if (from < kAgentHolder) return node_of(from) == node_of(to) ? 0 : 1;
    if (known.unanswered.contains({to, from})) return 3;  // last, whoever else has it
    return known.is_own_agent(view, from, Rank(to)) ? 0 : 2;
  };
  const RouteResult result = route(held, wanted, block_bytes, distance);
  REGROUP_CHECK(result.missing.empty(), "settled without a source for unit",
                result.missing.empty() ? 0 : result.missing.front().unit);
  return cut(result.pieces, known, settlement);
}

std::span<float> part(const Shard& shard, const Piece& piece, int array) {
  return {shard.array(array) + shard.element_of(piece.blocks.lo),
          static_cast<std::size_t>(piece.blocks.size() * shard.block_elements)};
}

}  // namespace

const Shard& StateMove::source_of(const Piece& piece) const {
  const auto found = std::find_if(from_.begin(), from_.end(), [&](const HeldShards& held) {
    return held.holding(piece.unit, piece.blocks) != nullptr;
  });
  REGROUP_CHECK(found != from_.end(), "no shard holds unit", piece.unit, "blocks", piece.blocks.lo, piece.blocks.hi);
  return *found->holding(piece.unit, piece.blocks);
}

void StateMove::send(const Piece& piece, int number) {
  const Shard& shard = source_of(piece);
  for (int array = 0; array < 3; ++array) {
    const std::span<float> data = part(shard, piece, array);
    hashes_[piece.to].push_back(XXH3_64bits(data.data(), data.size_bytes()));
    const mesh::Tag tag = make_tag(kNoStep, TransferOp::kMove, number + array);
    sends_.push_back(mesh_.send(Rank(piece.to), tag, std::as_bytes(data)));
  }
}

void StateMove::receive(const Piece& piece, int number) {
  const ShardPtr shard = to_.store.containing(piece.unit, piece.blocks);
  REGROUP_CHECK(shard != nullptr, "no room for unit", piece.unit, "blocks", piece.blocks.lo, piece.blocks.hi);
  Arrival& arrival = arrivals_[piece.from];
  arrival.pieces.push_back(piece);
  for (int array = 0; array < 3; ++array) {
    const mesh::Tag tag = make_tag(kNoStep, TransferOp::kMove, number + array);
    arrival.transfers.push_back(
        mesh_.receive(Rank(piece.from), tag, std::as_writable_bytes(part(*shard, piece, array))));
  }
}

void StateMove::run() {
  std::map<std::pair<int, int>, int> numbers;
  std::vector<Piece> from_agents;
  for (const Piece& piece : pieces_of(view_, known_, settlement_)) {
    if (piece.from >= kAgentHolder) {
      if (piece.to == view_.self.value) from_agents.push_back(piece);
      continue;
    }
    int& number = numbers[{piece.from, piece.to}];
    if (piece.from == view_.self.value) send(piece, number);
    if (piece.to == view_.self.value) receive(piece, number);
    number += 3;
  }
  const mesh::Tag hash_tag = make_tag(kNoStep, TransferOp::kMoveHashes);
  for (const auto& [peer, hashes] : hashes_)
    sends_.push_back(mesh_.send(Rank(peer), hash_tag, std::as_bytes(std::span(hashes)), mesh::Lane::kControl));
  for (auto& [peer, arrival] : arrivals_) arrival.hashes = mesh_.receive_message(Rank(peer), hash_tag);

  // What fails in one place is told when the other places have brought what they have: the next attempt has it then.
  std::optional<Interrupted> first;
  const auto go_on = [&first](const auto& work) {
    try {
      work();
    } catch (const Interrupted& interrupted) {
      if (!first) first = interrupted;
    }
  };
  go_on([&] { fetch(from_agents); });
  for (const auto& [sender, arrival] : arrivals_) go_on([&, s = sender, &a = arrival] { take_in(s, a); });
  for (const mesh::TransferPtr& transfer : sends_) go_on([&] { must(mesh_.wait(transfer)); });
  if (first) throw Interrupted(*first);
}

void StateMove::take_in(int sender, const Arrival& arrival) {
  const auto hashes = must(mesh_.wait_message(arrival.hashes));
  const auto wrong = [sender](const std::string& what) {
    return Interrupted{{Code::kCorrupt, "state from rank " + std::to_string(sender) + " arrived with " + what}};
  };
  if (hashes.size() != arrival.transfers.size() * sizeof(std::uint64_t)) throw wrong("too few checksums");
  for (std::size_t i = 0; i < arrival.transfers.size(); ++i) {
    must(mesh_.wait(arrival.transfers[i]));
    const Piece& piece = arrival.pieces[i / 3];
    const std::span<float> data = part(*to_.store.containing(piece.unit, piece.blocks), piece, static_cast<int>(i % 3));
    std::uint64_t expected = 0;
    std::memcpy(&expected, hashes.data() + i * sizeof expected, sizeof expected);
    if (XXH3_64bits(data.data(), data.size_bytes()) != expected) throw wrong("a wrong checksum");
    bytes_received += static_cast<std::int64_t>(data.size_bytes());
    if (i % 3 == 2) to_.blocks[piece.unit].add(piece.blocks);
  }
}

void StateMove::fetch(const std::vector<Piece>& pieces) {
  SnapshotFetch fetching(view_, known_, settlement_.step, to_, unanswered_, interrupt_);
  fetching.run(pieces);
  bytes_received += fetching.bytes_received;
  bytes_from_own_agent += fetching.bytes_from_own_agent;
}

}  // namespace regroup
