// state_move.hpp: the transfers of a regroup: a worker receives the blocks that the new layout gives it and it lacks,
// from other workers' live state or agents' snapshots, and sends those that others lack.
//
// Nobody directs it: every participant computes the same route (layout/route.hpp) from the inventories that all have
// exchanged, and does its own part of it. All participants call run(). Each piece is compared with its sender's
// checksum. One thread calls. Throws Interrupted, but takes in first what comes all the same; transfers may touch this
// object and the stores until run() has returned or the mesh has entered the next epoch: keep them.
#pragma once

#include "layout/route.hpp"
#include "mesh/mesh.hpp"
#include "moe/regroup/inventory.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/held_shards.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace regroup {

class StateMove {
 public:
  // `from`: what this worker holds of the step settled on, as its inventories say. `to`: a shard for everything that
  // the new layout gives this worker, filled with what `from` has of it; its blocks are those that are verified, and
  // grow. `unanswered`: as in snapshot_fetch.hpp.
  StateMove(mesh::Mesh& mesh, const EpochView& view, const Known& known, const Settlement& settlement,
            std::vector<HeldShards> from, HeldShards& to, std::set<std::string>& unanswered,
            std::function<void()> interrupt)
      : mesh_(mesh),
        view_(view),
        known_(known),
        settlement_(settlement),
        from_(std::move(from)),
        to_(to),
        unanswered_(unanswered),
        interrupt_(std::move(interrupt)) {}

  void run();

  std::int64_t bytes_received = 0;
  std::int64_t bytes_from_own_agent = 0;  // of these

 private:
  struct Arrival {  // from one sender
    std::vector<Piece> pieces;
    std::vector<mesh::TransferPtr> transfers;  // three a piece
    mesh::TransferPtr hashes;
  };
  [[nodiscard]] const Shard& source_of(const Piece& piece) const;
  void send(const Piece& piece, int number);
  void receive(const Piece& piece, int number);
  void take_in(int sender, const Arrival& arrival);
  void fetch(const std::vector<Piece>& pieces);

  mesh::Mesh& mesh_;
  const EpochView& view_;
  const Known& known_;
  const Settlement& settlement_;
  const std::vector<HeldShards> from_;
  HeldShards& to_;
  std::set<std::string>& unanswered_;
  std::function<void()> interrupt_;
  std::map<int, std::vector<std::uint64_t>> hashes_;  // receiver -> checksums of what it gets, in order
  std::vector<mesh::TransferPtr> sends_;
  std::map<int, Arrival> arrivals_;  // by sender
};

}  // namespace regroup
