#include "moe/worker/snapshots.hpp"

#include "base/log.hpp"
#include "base/now.hpp"

#include <chrono>
#include <cstring>

namespace regroup {
namespace {

constexpr int kSlots = 3;  // the newest safe one, the one under way, one that a durable write may hold

std::int64_t aligned(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Position among the ranks of all groups, which share the writing of a checkpoint.
int part_of(const EpochView& view) {
  int part = view.member;
  for (int g = 0; g < view.group_index; ++g)
    part += static_cast<int>(view.plan.placement.groups[static_cast<std::size_t>(g)].ranks.size());
  return part;
}

}  // namespace

void Snapshots::enter(const EpochView& view, const ShardStore& store) {
  finish_copy();
  view_ = &view;
  schedule_.enter();
  if (job_.spec.snapshots.snapshot_every_steps == 0 && job_.spec.snapshots.checkpoint_dir.empty()) return;
  std::int64_t bytes = 0;
  for (const auto& [key, shard] : store.all())
    bytes += aligned(shard->state.size() * static_cast<std::int64_t>(sizeof(float)));
  if (bytes <= slot_bytes_) return;
  slot_bytes_ = bytes;
  slots_.clear();
  link_.ask_for_arena(kSlots, bytes);
}

// Until the agent has the memory ready, snapshots are left out.
bool Snapshots::have_slots(bool wait) {
  if (slots_.empty()) {
    for (const GrantedArena& arena : link_.granted_arena(wait)) slots_.push_back({arena});
  }
  return !slots_.empty();
}

bool Snapshots::may_fill(const Slot& slot) const {
  if (slot.holds.step.value < 0) return true;
  return slot.holds.step != protected_ && slot.holds.step != schedule_.in_flight() && link_.settled(slot.holds);
}

Snapshots::Slot* Snapshots::free_slot(bool wait) {
  if (!have_slots(wait)) return nullptr;
  const auto find = [this] {
    Slot* best = nullptr;
    for (Slot& slot : slots_) {
      if (may_fill(slot) && (best == nullptr || slot.holds.step < best->holds.step)) best = &slot;
    }
    return best;
  };
  for (;;) {
    const std::uint64_t seen = link_.answers();
    Slot* slot = find();
    if (slot != nullptr || !wait || !link_.wait_answer(seen)) return slot;
  }
}

SnapshotVote Snapshots::vote() {
  const Step step = schedule_.in_flight();
  if (step.value >= 0 && link_.safe({step, view_->plan.epoch})) schedule_.safe_here();
  return schedule_.vote();
}

void Snapshots::committed(Step step, const ShardStore& store, const BadSteps& bad, SnapshotVote least, bool durable) {
  last_pause_ = 0;
  schedule_.heard(least);
  if (schedule_.safe().value >= 0) protected_ = schedule_.safe();
  if (!durable && !schedule_.due(step)) return;
  finish_copy();
  take(step, store, bad, durable);
}

void Snapshots::take(Step step, const ShardStore& store, const BadSteps& bad, bool durable) {
  Slot* slot = store.empty() ? nullptr : free_slot(durable);
  schedule_.begin(step);
  if (view_->group_index < 0) return schedule_.safe_here();  // a spare keeps nothing and writes nothing
  if (slot == nullptr && !store.empty()) {
    schedule_.skipped_here();
    if (durable)
      log::warn("checkpoint_left_out", {{"step", step.value}, {"reason", "no slot was free before a newer plan came"}});
    return;
  }
  if (store.empty()) schedule_.safe_here();
  if (store.empty() && !durable) return;
  SnapshotTaken message;
  message.info.step = step;
  message.info.epoch = view_->plan.epoch;
  message.info.safe = schedule_.safe();
  message.info.bad = bad;
  message.make_durable = durable;
  message.part = part_of(*view_);
  message.num_parts = view_->plan.placement.num_ranks();
  message.group = view_->group_index;
  const auto groups = static_cast<int>(view_->plan.placement.groups.size());
  std::vector<ShardPtr> shards;
  std::int64_t offset = 0;
  for (const auto& [key, shard] : store.all()) {
    const SnapshotEntry entry{shard->unit, shard->blocks, offset};
    message.info.entries.push_back(entry);
    // Every group holds all: they share the writing, unit by unit.
    if (durable && shard->unit % groups == view_->group_index) message.to_write.push_back(entry);
    offset += aligned(shard->state.size() * static_cast<std::int64_t>(sizeof(float)));
    shards.push_back(shard);
  }
  const SnapshotName name{step, view_->plan.epoch};
  if (slot != nullptr) {
    link_.drop(slot->holds);
    slot->holds = name;
    message.info.slot = slot->arena.slot;
  }
  link_.expect_answer(name, durable);
  std::byte* to = slot != nullptr ? slot->arena.memory.data() : nullptr;
  copy_ = std::async(std::launch::async, [this, message = std::move(message), shards = std::move(shards), to] {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      std::memcpy(to + message.info.entries[i].offset, shards[i]->state.data(),
                  static_cast<std::size_t>(shards[i]->state.size()) * sizeof(float));
    }
    link_.send(message);
  });
}

void Snapshots::finish_copy() {
  if (!copy_.valid()) return;
  const auto start = std::chrono::steady_clock::now();
  copy_.get();
  last_pause_ += seconds_since(start);
}

}  // namespace regroup
