// state_move.hpp: what the new layout wants of this worker and it does not hold, from whoever does: other workers' live
// state, agents' snapshots. What others want of it goes to them.
//
// Who sends what is routed alike by all (layout/route.hpp), from what the participants said that they hold. All
// participants call it. Each piece is compared with its sender's checksum. One thread. Throws Interrupted; keeps what
// its transfers may still touch, so it and both stores live until the mesh has entered the next epoch, or until run()
// has returned.
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
  // `from`: what this worker holds, if that is of the step settled on. `to`: with a shard for everything that the new
  // layout wants; what `from` has of it is there already.
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
