// agent_link.hpp: the worker's side of the socket to its agent.
//
// A thread of its own reads the agent's messages and keeps what they say; the main thread asks for it here, or waits.
// When the agent closes the socket or says StopWorker, the reader ends the process at once: every state that outlives
// a worker is in other workers, in the agent's memory or on disk.
// Threads: functions that wait: the main thread. Everything else: any thread.
//
// The class has two files: agent_link.cpp (messages, plans, peers) and agent_link_snapshots.cpp (slots, snapshots).
#pragma once

#include "api/worker_protocol.hpp"
#include "base/mutex.hpp"
#include "mesh/mesh.hpp"
#include "net/framed_socket.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <thread>

namespace regroup {

// A slot of shared memory that the agent owns; mapped here.
struct GrantedArena {
  int slot = 0;
  std::span<std::byte> memory;
};

// One snapshot of this worker.
struct SnapshotName {
  Step step;
  Epoch epoch;
  friend auto operator<=>(const SnapshotName&, const SnapshotName&) = default;
};

class AgentLink {
 public:
  explicit AgentLink(int fd);
  Welcome wait_welcome();
  // From now on a plan wakes whatever waits in the mesh, and the peers that the agent names are dialled.
  void attach(mesh::Mesh* mesh);

  // What a worker that waits for a plan waits for.
  struct Want {
    std::string text;    // and from whom; for people
    bool lacks = false;  // the same plan once more would not help, as where nobody has a source of state
  };
  // The newest plan above `above`. Blocks until there is one; the agent is told what is wanted meanwhile. Of what it
  // lacks `is_there` is asked every 2 s; once it is, the agent is told that nothing is lacking any more.
  Plan wait_for_plan(Epoch above, Want want, const std::function<bool()>& is_there);
  [[nodiscard]] Epoch planned() const;                                     // of the newest plan seen, 0 if none
  [[nodiscard]] std::chrono::steady_clock::time_point planned_at() const;  // when it came
  // A plan above `current` asks to stop at once.
  [[nodiscard]] bool must_stop(Epoch current) const;
  // The newest plan is that one, and it ends the job: nobody enters it.
  [[nodiscard]] bool ends(Epoch epoch) const;
  // From now on only the loss of these peers is reported. Those of them that are still disconnected remain suspects.
  void entered(Epoch epoch, const std::set<WorkerId>& counted_on);
  // Fewer of them, within the epoch: donors have given their state away, or the job is done.
  void count_on(const std::set<WorkerId>& workers);

  void peer_lost(const WorkerId& whom, Evidence evidence);
  void peer_connected(const WorkerId& whom);

  void send(const FromWorker& message);
  void state(WorkerState state, const std::string& text = {});

  // Snapshots.
  // Asks the agent for slots of shared memory and unmaps the ones before. It clears the memory first, which may take
  // seconds; the call does not wait for that.
  void ask_for_arena(int slots, std::int64_t bytes);
  // The slots asked for last, once all are there; empty before. `wait`: until they are, or a plan is to be entered at
  // once: one for the next boundary waits, as the last step's checkpoint is written before it or never.
  std::vector<GrantedArena> granted_arena(bool wait);
  void expect_answer(const SnapshotName& snapshot, bool durable);
  void drop(const SnapshotName& snapshot);  // its slot is being reused
  [[nodiscard]] bool safe(const SnapshotName& snapshot) const;
  // Its slot may be reused: the agent has the checksums, and no write to disk reads the slot.
  [[nodiscard]] bool settled(const SnapshotName& snapshot) const;
  [[nodiscard]] std::uint64_t answers() const;  // how many came so far
  bool wait_answer(std::uint64_t seen);  // until there are more answers than that; false: a plan for at once came
  [[nodiscard]] bool saving() const;     // a write to disk is under way
  void wait_durable();                   // until none is, or a plan for at once came

 private:
  void read_loop();
  void handle(const ToWorker& message, int fd);
  void take_grant(const ArenaGrant& grant, int fd) REGROUP_REQUIRES(mutex_);
  void take_answer(const SnapshotAnswer& answer) REGROUP_REQUIRES(mutex_);
  void send_suspects_locked() REGROUP_REQUIRES(mutex_);
  void check_warm_locked() REGROUP_REQUIRES(mutex_);
  void state_locked(WorkerState state, Epoch epoch, const Want& want) REGROUP_REQUIRES(mutex_);
  [[nodiscard]] bool planned_above(Epoch epoch) const REGROUP_REQUIRES(mutex_);
  [[nodiscard]] bool granted_locked() const REGROUP_REQUIRES(mutex_);
  [[nodiscard]] bool saving_locked() const REGROUP_REQUIRES(mutex_);
  [[nodiscard]] bool replaced_locked() const REGROUP_REQUIRES(mutex_);  // a newer plan is to be entered at once

  FramedSocket socket_;
  mutable Mutex mutex_;
  Condition changed_;
  mesh::Mesh* mesh_ REGROUP_GUARDED_BY(mutex_) = nullptr;
  std::optional<Welcome> welcome_ REGROUP_GUARDED_BY(mutex_);
  std::optional<Plan> plan_ REGROUP_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point planned_at_ REGROUP_GUARDED_BY(mutex_){};
  Epoch entered_ REGROUP_GUARDED_BY(mutex_);
  std::set<WorkerId> counted_on_ REGROUP_GUARDED_BY(mutex_);
  std::map<WorkerId, Suspicion> suspicions_ REGROUP_GUARDED_BY(mutex_);
  std::optional<DialPeers> dialling_ REGROUP_GUARDED_BY(mutex_);
  WorkerState state_ REGROUP_GUARDED_BY(mutex_) = WorkerState::kStarting;
  std::vector<GrantedArena> arenas_ REGROUP_GUARDED_BY(mutex_);
  int slots_asked_ REGROUP_GUARDED_BY(mutex_) = 0;
  std::int64_t slot_bytes_asked_ REGROUP_GUARDED_BY(mutex_) = 0;
  struct Expected {
    bool kept = false, safe = false, being_saved = false;
  };
  std::map<SnapshotName, Expected> snapshots_ REGROUP_GUARDED_BY(mutex_);
  std::uint64_t answers_ REGROUP_GUARDED_BY(mutex_) = 0;
  std::thread reader_;
};

}  // namespace regroup
