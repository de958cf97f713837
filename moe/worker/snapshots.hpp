// snapshots.hpp: copies of the owned shards in the agent's memory, made beside the next step.
//
// A slot is a piece of the agent's shared memory. It is reused only if it holds neither the newest step that is safe
// everywhere nor the one in flight, the agent has its checksums, and no write to disk reads it. So some complete step
// exists at every moment, and a half-overwritten one never passes as complete.
// Training does not wait for a snapshot: without a free slot it is skipped. A checkpoint waits for a slot.
// One thread (and one of its own for the copy).
#pragma once

#include "moe/state/epoch_view.hpp"
#include "moe/state/shards.hpp"
#include "moe/worker/agent_link.hpp"
#include "moe/worker/snapshot_schedule.hpp"

#include <future>
#include <vector>

namespace regroup {

class Snapshots {
 public:
  Snapshots(AgentLink& link, const JobConstants& job)
      : link_(link), job_(job), schedule_(job.spec.snapshots.snapshot_every_steps) {}
  // The store of a new epoch: asks for slots if what there is does not fit.
  void enter(const EpochView& view, const ShardStore& store);
  // After every committed step, whose state this is. `least`: of its votes. `durable`: the step is a checkpoint.
  void committed(Step step, const ShardStore& store, const BadSteps& bad, SnapshotVote least, bool durable);
  SnapshotVote vote();  // for the next vote
  void finish_copy();   // before the state changes
  // seconds in which training waited for a copy since the last step
  [[nodiscard]] double last_pause() const { return last_pause_; }

 private:
  struct Slot {
    GrantedArena arena;
    SnapshotName holds{Step(-1), Epoch(0)};
  };
  bool have_slots(bool wait);
  [[nodiscard]] bool may_fill(const Slot& slot) const;
  Slot* free_slot(bool wait);
  void take(Step step, const ShardStore& store, const BadSteps& bad, bool durable);

  AgentLink& link_;
  const JobConstants& job_;
  const EpochView* view_ = nullptr;
  SnapshotSchedule schedule_;
  Step protected_{-1};  // newest that was safe everywhere, in whatever epoch
  std::vector<Slot> slots_;
  std::int64_t slot_bytes_ = 0;
  std::future<void> copy_;
  double last_pause_ = 0;
};

}  // namespace regroup
