#include "moe/worker/agent_link.hpp"

#include "base/log.hpp"
#include "base/now.hpp"

#include <unistd.h>

#include <chrono>

namespace regroup {
namespace {

constexpr std::chrono::seconds kLookAgain{2};

}  // namespace

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
  Lock lock(mutex_);
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
    take_grant(*grant, fd);
  } else if (const auto* answer = std::get_if<SnapshotAnswer>(&message)) {
    take_answer(*answer);
  } else if (const auto* stop = std::get_if<StopWorker>(&message)) {
    log::info("worker_stops", {{"reason", stop->reason}});
    _exit(0);
  }
  changed_.notify_all();
}

Welcome AgentLink::wait_welcome() {
  Lock lock(mutex_);
  changed_.wait(lock, [&]() REGROUP_REQUIRES(mutex_) { return welcome_.has_value(); });
  return *welcome_;
}

void AgentLink::attach(mesh::Mesh* mesh) {
  const LockGuard lock(mutex_);
  mesh_ = mesh;
}

Plan AgentLink::wait_for_plan(Epoch above, Want want, const std::function<bool()>& is_there) {
  Lock lock(mutex_);
  const auto planned = [&]() REGROUP_REQUIRES(mutex_) { return planned_above(above); };
  // A newcomer's kWarm stays: the coordinator admits only workers that report it.
  const bool is_newcomer = state_ == WorkerState::kWarm && entered_ == Epoch(0);
  if (!planned() && !is_newcomer) state_locked(WorkerState::kWaiting, entered_, want);
  while (want.lacks && !changed_.wait_for(lock, kLookAgain, planned)) {
    lock.unlock();
    want.lacks = !is_there();  // reads a directory
    lock.lock();
    if (!want.lacks && !planned()) {
      want.text = "a newer plan: what was lacking is there now (" + want.text + ")";
      state_locked(WorkerState::kWaiting, entered_, want);
    }
  }
  changed_.wait(lock, planned);
  return *plan_;
}

bool AgentLink::planned_above(Epoch epoch) const { return plan_ && plan_->epoch > epoch; }

bool AgentLink::replaced_locked() const { return planned_above(entered_) && !plan_->ends && plan_->when == When::kNow; }

Epoch AgentLink::planned() const {
  const LockGuard lock(mutex_);
  return plan_ ? plan_->epoch : Epoch(0);
}

bool AgentLink::must_stop(Epoch current) const {
  const LockGuard lock(mutex_);
  return planned_above(current) && plan_->when == When::kNow;
}

bool AgentLink::ends(Epoch epoch) const {
  const LockGuard lock(mutex_);
  return plan_ && plan_->epoch == epoch && plan_->ends;
}

std::chrono::steady_clock::time_point AgentLink::planned_at() const {
  const LockGuard lock(mutex_);
  return planned_at_;
}

void AgentLink::entered(Epoch epoch, const std::set<WorkerId>& counted_on) {
  const LockGuard lock(mutex_);
  entered_ = epoch;
  counted_on_ = counted_on;
  dialling_.reset();  // for a plan before
  // Withdrawn: suspicions of peers outside this epoch, of peers that are connected again, and those about a hang, a
  // fault or a link that came back, which the new epoch observes anew. A peer that is still cut off remains a suspect.
  const mesh::Mesh* connections = mesh_;
  std::erase_if(suspicions_, [&](const auto& entry) {
    const Evidence evidence = entry.second.evidence;
    const bool cut_off =
        evidence == Evidence::kEof || evidence == Evidence::kSilence || evidence == Evidence::kUnreachable;
    return !counted_on.contains(entry.first) || !cut_off || connections->connected(entry.first);
  });
  send_suspects_locked();
}

void AgentLink::count_on(const std::set<WorkerId>& workers) {
  const LockGuard lock(mutex_);
  counted_on_ = workers;
  if (std::erase_if(suspicions_, [&](const auto& entry) { return !workers.contains(entry.first); }) > 0)
    send_suspects_locked();
}

void AgentLink::peer_lost(const WorkerId& whom, Evidence evidence) {
  const LockGuard lock(mutex_);
  if (!counted_on_.contains(whom)) return;
  suspicions_[whom] = {whom, evidence, wall_ms()};
  send_suspects_locked();
}

void AgentLink::peer_connected(const WorkerId& whom) {
  const LockGuard lock(mutex_);
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
  const LockGuard lock(mutex_);
  state_locked(state, entered_, {text});
}

// Sent under the lock, so that the agent hears of states in the order in which they change.
void AgentLink::state_locked(WorkerState state, Epoch epoch, const Want& want) {
  state_ = state;
  send(StateChanged{state, epoch, want.text, want.lacks});
}

}  // namespace regroup
