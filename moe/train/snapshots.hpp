// snapshots.hpp: copies of the owned shards in the agent's memory, made beside the next step.
//
// Slots are the agent's shared memory. A slot is written again only when a newer snapshot was acknowledged in every vote of a committed step and no durable write still reads
// it, so that a complete snapshot exists at every moment. When no slot is free the snapshot is left out: training does not wait for it.
// One thread (and one of its own for the copy).
#pragma once

#include "moe/train/agent_link.hpp"
#include "moe/train/epoch_view.hpp"
#include "moe/train/shards.hpp"

#include <future>
#include <vector>

namespace regroup {

class Snapshots {
 public:
  Snapshots(AgentLink& link, const JobView& job) : link_(link), job_(job) {}
  // The store of a new epoch: asks for slots if what there is does not fit.
  void enter(const EpochView& view, const ShardStore& store);
  // The state is that of `step`. `durable`: part of a checkpoint; then it waits for a slot rather than leave it out.
  void take(Step step, const ShardStore& store, bool durable);
  void acknowledged_by_all(Step step);    // from a complete vote
  void finish_copy();                     // before the state changes
  [[nodiscard]] double last_pause() const { return last_pause_; }   // seconds in which training waited for a copy since the last take

 private:
  struct Slot {
    Arena arena;
    Step step{-1};
  };
  Slot* free_slot();

  AgentLink& link_;
  const JobView& job_;
  const EpochView* view_ = nullptr;
  std::vector<Slot> slots_;
  std::int64_t slot_bytes_ = 0;
  Step acked_{-1};
  std::future<void> copy_;
  double last_pause_ = 0;
};

}  // namespace regroup
