#include "moe/train/snapshots.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace regroup {
namespace {

constexpr int kSlots = 3;  // the newest safe one, one on its way to the buddy, one that a durable write may hold

std::int64_t aligned(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

void Snapshots::enter(const EpochView& view, const ShardStore& store) {
  finish_copy();
  view_ = &view;
  if (job_.spec.snapshots.snapshot_every_steps == 0 && job_.spec.snapshots.checkpoint_dir.empty()) return;
  std::int64_t bytes = 0;
  for (const auto& [key, shard] : store.all()) bytes += aligned(shard->state.size() * static_cast<std::int64_t>(sizeof(float)));
  if (bytes <= slot_bytes_ && !slots_.empty()) return;
  if (bytes == 0) return;
  slot_bytes_ = bytes;
  slots_.clear();
  for (const Arena& arena : link_.request_arena(kSlots, bytes)) slots_.push_back({arena, Step(-1)});
}

Snapshots::Slot* Snapshots::free_slot() {
  Slot* best = nullptr;
  for (Slot& slot : slots_) {
    if (link_.durable_pending(slot.step)) continue;
    // The newest that all have acknowledged stays; what is newer than it is on its way.
    if (slot.step.value >= 0 && slot.step >= acked_) continue;
    if (best == nullptr || slot.step < best->step) best = &slot;
  }
  return best;
}

void Snapshots::take(Step step, const ShardStore& store, bool durable) {
  finish_copy();
  if (slots_.empty() && !store.empty()) return;
  last_pause_ = 0;
  SnapshotTaken message;
  message.info.step = step;
  message.info.epoch = view_->plan.epoch;
  message.info.safe = acked_;
  message.make_durable = durable;
  Slot* slot = store.empty() ? nullptr : free_slot();
  if (slot == nullptr && !store.empty()) {
    if (!durable) {
      log::debug("snapshot_left_out", {{"step", step.value}, {"reason", "every slot is still in use"}});
      return;
    }
    // A checkpoint is worth a wait: the oldest slot that no durable write reads is given up.
    link_.wait_durable();
    for (Slot& candidate : slots_) {
      if (candidate.step == acked_ || link_.durable_pending(candidate.step)) continue;
      if (slot == nullptr || candidate.step < slot->step) slot = &candidate;
    }
    if (slot == nullptr) {   // a newer plan came before a write ended; part 0 gives this checkpoint up
      log::warn("checkpoint_left_out", {{"step", step.value}, {"reason", "every slot is still being written"}});
      return;
    }
  }
  if (durable) link_.expect_durable(step);
  int rank_in_groups = 0;
  for (int g = 0; g < static_cast<int>(view_->plan.placement.groups.size()); ++g) {
    if (g < view_->group_index) rank_in_groups += static_cast<int>(view_->plan.placement.groups[static_cast<std::size_t>(g)].ranks.size());
  }
  message.part = rank_in_groups + view_->member;
  message.num_parts = view_->plan.placement.num_ranks();
  const auto groups = static_cast<int>(view_->plan.placement.groups.size());
  std::int64_t offset = 0;
  for (const auto& [key, shard] : store.all()) {
    const SnapshotEntry entry{shard->unit, shard->blocks, offset};
    message.info.entries.push_back(entry);
    // Every group holds all: they share the writing, unit by unit.
    if (durable && shard->unit % groups == view_->group_index) message.to_write.push_back(entry);
    offset += aligned(shard->state.size() * static_cast<std::int64_t>(sizeof(float)));
  }
  if (slot != nullptr) {
    slot->step = step;
    message.info.slot = slot->arena.slot;
  }
  std::vector<ShardPtr> shards;
  for (const auto& [key, shard] : store.all()) shards.push_back(shard);
  std::byte* to = slot != nullptr ? slot->arena.memory.data() : nullptr;
  copy_ = std::async(std::launch::async, [this, message = std::move(message), shards = std::move(shards), to] {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      std::memcpy(to + message.info.entries[i].offset, shards[i]->state.data(), static_cast<std::size_t>(shards[i]->state.size()) * sizeof(float));
    }
    link_.send(message);
  });
}

void Snapshots::acknowledged_by_all(Step step) { acked_ = std::max(acked_, step); }

void Snapshots::finish_copy() {
  if (!copy_.valid()) return;
  const auto start = std::chrono::steady_clock::now();
  copy_.get();
  last_pause_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace regroup
