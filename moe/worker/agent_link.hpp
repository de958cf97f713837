// agent_link.hpp: the worker's side of the socket to its agent: a thread that reads, a mailbox that the main thread
// looks into.
//
// The end of the stream or StopWorker ends the process at once: state that matters lies elsewhere.
// Threads: wait_* and next_*: the main thread. Everything else: any thread.
#pragma once

#include "api/worker_protocol.hpp"
#include "mesh/mesh.hpp"
#include "net/framed_socket.hpp"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <thread>

namespace regroup {

// A slot of shared memory that the agent owns; mapped here.
struct Arena {
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
  void attach(mesh::Mesh* mesh);  // from now on plans wake its waiters, and peers to dial are dialled

  // The newest plan above `above`; blocks, saying why it waits.
  Plan wait_for_plan(Epoch above, const std::string& reason);
  [[nodiscard]] Epoch planned() const;                                     // of the newest plan seen, 0 if none
  [[nodiscard]] std::chrono::steady_clock::time_point planned_at() const;  // when it came
  // A plan above `current` asks to stop at once.
  [[nodiscard]] bool must_stop(Epoch current) const;
  [[nodiscard]] bool ends(Epoch epoch) const;  // the newest plan is that one, and nobody enters it
  // From now on only the loss of these counts; of them, who is still cut off stays suspected.
  void entered(Epoch epoch, const std::set<WorkerId>& counted_on);
  // fewer, within the epoch: donors have given what they had, or the job is done
  void count_on(const std::set<WorkerId>& workers);

  void peer_lost(const WorkerId& whom, Evidence evidence);
  void peer_connected(const WorkerId& whom);

  void send(const FromWorker& message);
  void state(WorkerState state, const std::string& text = {});

  // Snapshots.
  // What was mapped before is unmapped. The agent clears memory for it, which may take seconds: nobody waits.
  void ask_for_arena(int slots, std::int64_t bytes);
  // empty until all slots asked for last are there; `wait`: until they are, or a newer plan came
  std::vector<Arena> granted_arena(bool wait);
  void expect_answer(const SnapshotName& snapshot, bool durable);
  void forget(const SnapshotName& snapshot);  // its slot is filled again
  [[nodiscard]] bool safe(const SnapshotName& snapshot) const;
  // the agent has its checksums, and no durable write reads its slot
  [[nodiscard]] bool settled(const SnapshotName& snapshot) const;
  [[nodiscard]] std::uint64_t answers() const;
  bool wait_answer(std::uint64_t seen);  // until there are more answers than that; false: a newer plan came
  [[nodiscard]] bool saving() const;
  void wait_durable();  // until no write to disk is under way, or a newer plan came

 private:
  void read_loop();
  void handle(const ToWorker& message, int fd);
  void send_suspects_locked();
  void check_warm_locked();
  void state_locked(WorkerState state, Epoch epoch, const std::string& text);
  [[nodiscard]] bool saving_locked() const;
  [[nodiscard]] bool replaced_locked() const;  // a newer plan is to be entered

  FramedSocket socket_;
  mesh::Mesh* mesh_ = nullptr;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Welcome> welcome_;
  std::optional<Plan> plan_;
  std::chrono::steady_clock::time_point planned_at_{};
  Epoch entered_;
  std::set<WorkerId> counted_on_;
  std::map<WorkerId, Suspicion> suspicions_;
  std::optional<DialPeers> dialling_;
  WorkerState state_ = WorkerState::kStarting;
  std::vector<Arena> arenas_;
  int slots_asked_ = 0;
  std::int64_t slot_bytes_asked_ = 0;
  struct Expected {
    bool kept = false, safe = false, being_saved = false;
  };
  std::map<SnapshotName, Expected> snapshots_;
  std::uint64_t answers_ = 0;
  std::thread reader_;
};

}  // namespace regroup
