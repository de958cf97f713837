#include "moe/worker/agent_link.hpp"

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/now.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace regroup {

AgentLink::AgentLink(int fd) : socket_(fd), reader_([this] { read_loop(); }) { reader_.detach(); }

void AgentLink::read_loop() {
  for (;;) {
    auto received = socket_.receive();
    if (!received) _exit(0);  // the agent is gone
    auto message = to_worker_from_json(received->first);
    if (!message) {
      log::error("bad_message_from_agent", {{"error", to_string(message.error())}});
      _exit(1);
    }
    handle(*message, received->second);
  }
}

void AgentLink::handle(const ToWorker& message, int fd) {
  std::unique_lock lock(mutex_);
  if (const auto* welcome = std::get_if<Welcome>(&message)) {
    welcome_ = *welcome;
  } else if (const auto* dial = std::get_if<DialPeers>(&message)) {
    dialling_ = *dial;
    if (mesh_ != nullptr) {
      std::vector<mesh::Peer> peers;
      for (const Participant& peer : dial->peers) {
        if (welcome_ && peer.worker != welcome_->self) peers.push_back({peer.worker, peer.address});
      }
      mesh_->warm(peers);
      check_warm_locked();
    }
  } else if (const auto* plan = std::get_if<NewPlan>(&message)) {
    if (!plan_ || plan->plan.epoch > plan_->epoch) {
      plan_ = plan->plan;
      planned_at_ = std::chrono::steady_clock::now();
      if (mesh_ != nullptr && plan_->when == When::kNow) mesh_->announce(plan_->epoch);
    }
  } else if (const auto* grant = std::get_if<ArenaGrant>(&message)) {
    if (grant->bytes != slot_bytes_asked_ || grant->slot < 0) {
      // The agent has no memory for it; or it answers a request that a later one replaced.
      if (grant->bytes == slot_bytes_asked_) slots_asked_ = 0;
      if (fd >= 0) close(fd);
      changed_.notify_all();
      return;
    }
    void* memory =
        mmap(nullptr, static_cast<std::size_t>(grant->bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    REGROUP_CHECK(memory != MAP_FAILED, "cannot map the agent's arena of", grant->bytes, "bytes");
    close(fd);
    arenas_.push_back({grant->slot, {static_cast<std::byte*>(memory), static_cast<std::size_t>(grant->bytes)}});
  } else if (const auto* answer = std::get_if<SnapshotAnswer>(&message)) {
    if (const auto found = snapshots_.find({answer->step, answer->epoch}); found != snapshots_.end()) {
      if (answer->news == SnapshotNews::kSaveEnded) found->second.being_saved = false;
      if (answer->news != SnapshotNews::kSaveEnded) found->second.kept = true;
      if (answer->news == SnapshotNews::kSafe) found->second.safe = true;
      ++answers_;
    }
  } else if (const auto* stop = std::get_if<StopWorker>(&message)) {
    log::info("worker_stops", {{"reason", stop->reason}});
    _exit(0);
  }
  changed_.notify_all();
}

Welcome AgentLink::wait_welcome() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return welcome_.has_value(); });
  return *welcome_;
}

void AgentLink::attach(mesh::Mesh* mesh) {
  const std::lock_guard lock(mutex_);
  mesh_ = mesh;
}

Plan AgentLink::wait_for_plan(Epoch above, const std::string& reason) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return plan_ && plan_->epoch > above; };
  // Do not overwrite kWarm with kWaiting: the coordinator admits only workers that report kWarm.
  if (!ready() && !reason.empty() && state_ != WorkerState::kWarm)
    state_locked(WorkerState::kWaiting, entered_, reason);
  changed_.wait(lock, ready);
  return *plan_;
}

Epoch AgentLink::planned() const {
  const std::lock_guard lock(mutex_);
  return plan_ ? plan_->epoch : Epoch(0);
}

bool AgentLink::must_stop(Epoch current) const {
  const std::lock_guard lock(mutex_);
  return plan_ && plan_->epoch > current && plan_->when == When::kNow;
}

bool AgentLink::ends(Epoch epoch) const {
  const std::lock_guard lock(mutex_);
  return plan_ && plan_->epoch == epoch && plan_->ends;
}

std::chrono::steady_clock::time_point AgentLink::planned_at() const {
  const std::lock_guard lock(mutex_);
  return planned_at_;
}

void AgentLink::entered(Epoch epoch, const std::set<WorkerId>& counted_on) {
  const std::lock_guard lock(mutex_);
  entered_ = epoch;
  counted_on_ = counted_on;
  // Withdrawn: suspicions of peers outside this epoch, of peers that are connected again, and those about a hang or a
  // fault, which the new epoch observes anew. A peer that is still cut off remains a suspect.
  std::erase_if(suspicions_, [&](const auto& entry) {
    const bool cut_off = entry.second.evidence == Evidence::kEof || entry.second.evidence == Evidence::kSilence;
    return !counted_on.contains(entry.first) || !cut_off || mesh_->connected(entry.first);
  });
  send_suspects_locked();
}

void AgentLink::count_on(const std::set<WorkerId>& workers) {
  const std::lock_guard lock(mutex_);
  counted_on_ = workers;
  if (std::erase_if(suspicions_, [&](const auto& entry) { return !workers.contains(entry.first); }) > 0)
    send_suspects_locked();
}

void AgentLink::peer_lost(const WorkerId& whom, Evidence evidence) {
  const std::lock_guard lock(mutex_);
  if (!counted_on_.contains(whom)) return;
  suspicions_[whom] = {whom, evidence, wall_ms()};
  send_suspects_locked();
}

void AgentLink::peer_connected(const WorkerId& whom) {
  const std::lock_guard lock(mutex_);
  if (suspicions_.erase(whom) > 0) send_suspects_locked();
  check_warm_locked();
}

void AgentLink::send_suspects_locked() {
  Suspects message;
  message.epoch = entered_;
  for (const auto& [whom, suspicion] : suspicions_) message.suspicions.push_back(suspicion);
  (void)socket_.send(to_json(FromWorker{message}));
}

void AgentLink::check_warm_locked() {
  if (!dialling_ || mesh_ == nullptr || state_ == WorkerState::kTraining) return;
  for (const Participant& peer : dialling_->peers) {
    if (welcome_ && peer.worker == welcome_->self) continue;
    if (!mesh_->connected(peer.worker)) return;
  }
  state_locked(WorkerState::kWarm, dialling_->epoch, {});
  dialling_.reset();
}

void AgentLink::send(const FromWorker& message) {
  // A failed send means that the agent is gone; the reader ends the process.
  (void)socket_.send(to_json(message));
}

void AgentLink::state(WorkerState state, const std::string& text) {
  const std::lock_guard lock(mutex_);
  state_locked(state, entered_, text);
}

// Sent under the lock, so that the agent hears of states in the order in which they change.
void AgentLink::state_locked(WorkerState state, Epoch epoch, const std::string& text) {
  state_ = state;
  send(StateChanged{state, epoch, text});
}

void AgentLink::ask_for_arena(int slots, std::int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    for (const Arena& arena : arenas_) munmap(arena.memory.data(), arena.memory.size());
    arenas_.clear();
    slots_asked_ = slots;
    slot_bytes_asked_ = bytes;
  }
  send(NeedArena{slots, bytes});
}

std::vector<Arena> AgentLink::granted_arena(bool wait) {
  std::unique_lock lock(mutex_);
  const auto granted = [&] { return slots_asked_ > 0 && static_cast<int>(arenas_.size()) >= slots_asked_; };
  if (wait) changed_.wait(lock, [&] { return granted() || slots_asked_ == 0 || replaced_locked(); });
  return granted() ? arenas_ : std::vector<Arena>{};
}

void AgentLink::expect_answer(const SnapshotName& snapshot, bool durable) {
  const std::lock_guard lock(mutex_);
  snapshots_[snapshot] = {.being_saved = durable};
}

void AgentLink::drop(const SnapshotName& snapshot) {
  const std::lock_guard lock(mutex_);
  snapshots_.erase(snapshot);
}

bool AgentLink::safe(const SnapshotName& snapshot) const {
  const std::lock_guard lock(mutex_);
  const auto found = snapshots_.find(snapshot);
  return found != snapshots_.end() && found->second.safe;
}

bool AgentLink::settled(const SnapshotName& snapshot) const {
  const std::lock_guard lock(mutex_);
  const auto found = snapshots_.find(snapshot);
  return found == snapshots_.end() || (found->second.kept && !found->second.being_saved);
}

std::uint64_t AgentLink::answers() const {
  const std::lock_guard lock(mutex_);
  return answers_;
}

bool AgentLink::wait_answer(std::uint64_t seen) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return answers_ != seen || replaced_locked(); });
  return !replaced_locked();
}

bool AgentLink::saving() const {
  const std::lock_guard lock(mutex_);
  return saving_locked();
}

bool AgentLink::replaced_locked() const { return plan_ && plan_->epoch > entered_ && !plan_->ends; }

bool AgentLink::saving_locked() const {
  return std::any_of(snapshots_.begin(), snapshots_.end(), [](const auto& entry) { return entry.second.being_saved; });
}

void AgentLink::wait_durable() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !saving_locked() || replaced_locked(); });
}

}  // namespace regroup
