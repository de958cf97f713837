// state_move.hpp: the transfers of a regroup: a worker receives the blocks that the new layout gives it and it lacks,
// from other workers' live state or agents' snapshots, and sends those that others lack.
//
// Nobody directs it: every participant computes the same route (layout/route.hpp) from the inventories that all have
// exchanged, and does its own part of it. All participants call run(). Each piece is compared with its sender's
// checksum. One thread. Throws Interrupted; transfers may touch this object and both stores until run() has returned or
// the mesh has entered the next epoch: keep them.
#pragma once

#include "layout/route.hpp"
#include "mesh/mesh.hpp"
#include "moe/regroup/inventory.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/shards.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace regroup {

class StateMove {
 public:
  // `from`: what this worker holds, if that is of the step settled on. `to`: a shard for everything that the new layout
  // gives this worker, already filled with what `from` has of it.
  StateMove(mesh::Mesh& mesh, const EpochView& view, const Known& known, const Settlement& settlement,
            const ShardStore& from, const ShardStore& to, std::function<void()> interrupt)
      : mesh_(mesh),
        view_(view),
        known_(known),
        settlement_(settlement),
        from_(from),
        to_(to),
        interrupt_(std::move(interrupt)) {}

  void run();

  std::int64_t bytes_received = 0;
  std::int64_t bytes_from_own_agent = 0;  // of these

 private:
  void fetch_from_agents(const std::vector<Piece>& pieces);
  std::span<float> part(const ShardStore& of, const Piece& piece, int array) const;

  mesh::Mesh& mesh_;
  const EpochView& view_;
  const Known& known_;
  const Settlement& settlement_;
  const ShardStore& from_;
  const ShardStore& to_;
  std::function<void()> interrupt_;
  std::map<int, std::vector<std::uint64_t>> hashes_;  // receiver -> checksums of what it gets, in order
};

}  // namespace regroup
