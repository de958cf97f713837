// agent_link_snapshots.cpp: the slots that the agent lends, and what it says of the snapshots in them. Part of
// AgentLink (agent_link.hpp).
#include "base/check.hpp"
#include "moe/worker/agent_link.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace regroup {

void AgentLink::ask_for_arena(int slots, std::int64_t bytes) {
  {
    const LockGuard lock(mutex_);
    for (const GrantedArena& arena : arenas_) munmap(arena.memory.data(), arena.memory.size());
    arenas_.clear();
    slots_asked_ = slots;
    slot_bytes_asked_ = bytes;
  }
  send(NeedArena{slots, bytes});
}

void AgentLink::take_grant(const ArenaGrant& grant, int fd) {
  if (grant.bytes != slot_bytes_asked_ || grant.slot < 0) {
    // The agent has no memory for it; or it answers a request that a later one replaced.
    if (grant.bytes == slot_bytes_asked_) slots_asked_ = 0;
    if (fd >= 0) close(fd);
    return;
  }
  void* memory =
      mmap(nullptr, static_cast<std::size_t>(grant.bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  REGROUP_CHECK(memory != MAP_FAILED, "cannot map the agent's arena of", grant.bytes, "bytes");
  close(fd);
  arenas_.push_back({grant.slot, {static_cast<std::byte*>(memory), static_cast<std::size_t>(grant.bytes)}});
}

std::vector<GrantedArena> AgentLink::granted_arena(bool wait) {
  Lock lock(mutex_);
  if (wait) {
    changed_.wait(
        lock, [&]() REGROUP_REQUIRES(mutex_) { return granted_locked() || slots_asked_ == 0 || replaced_locked(); });
  }
  return granted_locked() ? arenas_ : std::vector<GrantedArena>{};
}

bool AgentLink::granted_locked() const { return slots_asked_ > 0 && static_cast<int>(arenas_.size()) >= slots_asked_; }

void AgentLink::expect_answer(const SnapshotName& snapshot, bool durable) {
  const LockGuard lock(mutex_);
  snapshots_[snapshot] = {.being_saved = durable};
}

void AgentLink::take_answer(const SnapshotAnswer& answer) {
  if (const auto found = snapshots_.find({answer.step, answer.epoch}); found != snapshots_.end()) {
    if (answer.news == SnapshotNews::kSaveEnded) found->second.being_saved = false;
    if (answer.news != SnapshotNews::kSaveEnded) found->second.kept = true;
    if (answer.news == SnapshotNews::kSafe) found->second.safe = true;
    ++answers_;
  }
}

void AgentLink::drop(const SnapshotName& snapshot) {
  const LockGuard lock(mutex_);
  snapshots_.erase(snapshot);
}

bool AgentLink::safe(const SnapshotName& snapshot) const {
  const LockGuard lock(mutex_);
  const auto found = snapshots_.find(snapshot);
  return found != snapshots_.end() && found->second.safe;
}

bool AgentLink::settled(const SnapshotName& snapshot) const {
  const LockGuard lock(mutex_);
  const auto found = snapshots_.find(snapshot);
  return found == snapshots_.end() || (found->second.kept && !found->second.being_saved);
}

std::uint64_t AgentLink::answers() const {
  const LockGuard lock(mutex_);
  return answers_;
}

bool AgentLink::wait_answer(std::uint64_t seen) {
  Lock lock(mutex_);
  changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return answers_ != seen || replaced_locked(); });
  return !replaced_locked();
}

bool AgentLink::saving() const {
  const LockGuard lock(mutex_);
  return saving_locked();
}

bool AgentLink::saving_locked() const {
  return std::any_of(snapshots_.begin(), snapshots_.end(), [](const auto& entry) { return entry.second.being_saved; });
}

void AgentLink::wait_durable() {
  Lock lock(mutex_);
  changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return !saving_locked() || replaced_locked(); });
}

}  // namespace regroup
