// regroup.hpp: from one epoch to the next inside the running process: the participants agree on a step and on who has
// it, move blocks to where the new layout wants them, and keep the old state until all have theirs.
//
// It may throw Interrupted at any point, and leaves the old state as it was: the next attempt starts from that, and
// from what this one had verified (keep_moved). (A prepared step may have been rolled forward: all members of the next
// epoch will find it committed.) Two barriers end it. Who has passed the first one knows that all hold their new state,
// complete and verified; who has passed the second one knows that all know it, and frees the old: so whoever is
// interrupted, or ends, between any two messages, every block is still held by the others as it was before.
// One thread, the main one.
//
// The class has two files: regroup.cpp (agree, move) and regroup_storage.cpp (checkpoints, initial weights).
#pragma once

#include "mesh/mesh.hpp"
#include "moe/regroup/damaged_checkpoints.hpp"
#include "moe/regroup/inventory.hpp"
#include "moe/regroup/state_move.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/held_shards.hpp"
#include "moe/state/prepared.hpp"
#include "moe/state/shards.hpp"
#include "moe/state/tags.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace regroup {

// What a worker carries from epoch to epoch.
struct CarriedState {
  ShardStore store;
  std::optional<Step> live;          // step of the store's content; none while it holds nothing
  std::optional<VoteRecord> record;  // of the last commit
  BadSteps bad;                      // up to `live`
  ValidationRecord validation;       // the newest that this worker knows
  std::vector<MovedState> moved;     // of attempts that were interrupted since `store` was taken over
  std::set<std::string> unanswered;  // addresses of agents that failed when this worker asked them last
};

// One try at an epoch. Owns every buffer that a transfer of it may touch: keep it until the mesh has entered the next
// epoch, or until it succeeded.
class RegroupAttempt {
 public:
  // The mesh has entered the view's epoch. `prepared`: what the old epoch left; nothing if there was none.
  RegroupAttempt(mesh::Mesh& mesh, const EpochView& view, CarriedState& state, Prepared prepared,
                 std::function<void()> interrupt);

  std::string fingerprint;  // of this member; a checkpoint of another is refused, unless the job allows it; empty: any

  // A settlement without a source is Interrupted{kUnavailable} with the reason: wait for another plan. (kPeerLost where
  // an agent that did not answer may have it, or one kept it and did not give it: try again.) So is a member
  // whose node has something else than the others at a path that all read; to that member it is WrongFiles.
  void run();
  // After an interruption, once the mesh has entered a later epoch: what was verified becomes part of the state that
  // the next attempt offers. Ends this object's use.
  void keep_moved();

  // After run():
  Settlement settlement;
  ShardStore store;                  // what the new layout wants of this worker
  std::optional<VoteRecord> record;  // of the step settled on, if anybody had it
  BadSteps bad;                      // up to it
  ValidationRecord validation;       // the newest that any participant knew
  DamagedCheckpoints damaged;        // that were passed over on the way to it
  std::int64_t bytes_received = 0;
  std::int64_t bytes_from_own_agent = 0;  // of these
  double agree_ms = 0;
  double move_ms = 0;

 private:
  std::vector<std::vector<std::byte>> gather(TransferOp op, std::int64_t index, std::span<const std::byte> mine);
  [[nodiscard]] const NodeId& node_of(std::size_t rank) const;
  void agree();
  [[nodiscard]] bool is_in_memory() const;  // what was settled on
  [[nodiscard]] bool may_lose_steps() const;
  void move();
  void make_store(const std::vector<HeldShards>& held);
  void read_from_storage();
  std::optional<Step> load_checkpoint();
  std::vector<std::string> gather_texts(std::int64_t index, const std::string& mine);
  std::string agree_on_checkpoint(const std::string& mine, std::int64_t index);
  void initialise();

  mesh::Mesh& mesh_;
  const EpochView& view_;
  CarriedState& state_;
  Prepared prepared_;
  std::function<void()> interrupt_;
  Known known_;
  SettleInput input_;
  HeldShards new_;
  std::vector<ShardPtr> created_;  // shards of the new store that this worker did not have as they are
  std::optional<StateMove> move_;
};

}  // namespace regroup
