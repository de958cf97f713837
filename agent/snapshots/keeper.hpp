// keeper.hpp: the snapshots that this node keeps: those of its own workers, in shared memory that outlives them, and
// copies of other nodes'. Serves them to peers, sends them to a buddy, writes them to disk.
//
// A worker's memory dies with it; what it last copied into a slot of the keeper's does not. So after a failure the
// survivors, and the next worker on this node, fetch lost shards from here instead of from a checkpoint.
//
// Checksums are computed once, when a snapshot is taken (one XXH3 a block and array), and go with it wherever it goes.
// A snapshot is dropped when it is older than `safe`, the newest step that the votes of a committed step called safe
// everywhere, and when its worker fills the slot again (the buddy's copy, too). A worker must not fill a slot before
// its take is answered: bytes that change while they are summed cannot be told from the right ones.
//
// Threads: any thread may call; none but grant() takes long, and none waits for a peer or a disk. Events come on
// threads of the keeper and must only post. The destructor waits for the piece under way, and answers every take and
// save that is left with a problem.
#pragma once

#include "agent/snapshots/peer_limits.hpp"
#include "agent/snapshots/peer_server.hpp"
#include "agent/snapshots/saver.hpp"
#include "agent/snapshots/shelf.hpp"
#include "agent/snapshots/taker.hpp"
#include "api/keeper_reports.hpp"
#include "api/worker_protocol.hpp"
#include "base/mutex.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace regroup::agent {

struct KeeperOptions {
  std::string listen;                              // peer port: "unix:PATH" or "tcp:HOST:0"
  std::chrono::milliseconds idle{2000};            // a transfer without a byte for so long has failed
  std::chrono::milliseconds commit_wait{120'000};  // part 0 waits so long for the others' parts
  PeerLimits limits = {};
};

struct KeeperEvents {
  std::function<void(const SnapshotKept&)> on_kept;
  std::function<void(const CheckpointSaved&)> on_saved;  // exactly one for each take() with make_durable
};

struct TakeRequest {
  WorkerId worker;
  SnapshotTaken taken;      // taken.info.safe: everything older may go, here and at the buddy
  std::string buddy;        // peer address of another node's agent; empty: none needed
  std::string fingerprint;  // for the manifest
};

class SnapshotKeeper {
 public:
  // kBadInput, kUnavailable: cannot listen there.
  static Result<std::unique_ptr<SnapshotKeeper>> start(const KeeperOptions& options, KeeperEvents events);
  [[nodiscard]] std::string address() const;  // what peers dial
  // The job whose snapshots are kept from now on. Those of another job are dropped, as are its takes that are not
  // answered yet; its saves go on to their end. Peers must prove the job's secret.
  void work_for(const JobSpec& job);
  void work_for_none();
  // Resident, zeroed memfds, one a slot. Snapshots in earlier slots of this worker, or of one that ran in its place
  // before, stay until they are too old. The descriptors are lent: valid until the next grant to this place or another
  // job. kBadInput: no slots or no bytes. kUnavailable: no memory. Clears memory, which takes from 0.3 s a GiB to ten
  // times that on a busy machine: keep it off a loop that has deadlines.
  Result<std::vector<int>> grant(const WorkerId& worker, int slots, std::int64_t bytes);
  // Exactly one on_kept follows, in the order of the takes of one buddy, unless the job is dropped before. Nothing is
  // skipped. A rank that holds nothing (no entries) is answered at once. The same step offered again (same epoch, slot
  // and entries; for another buddy, say) is sent with its first checksums.
  void take(const TakeRequest& request);
  // Saves of older epochs of the job that is worked for, which cannot complete any more (a node of theirs is gone), end
  // with a problem.
  void cancel_saves_before(Epoch epoch);
  [[nodiscard]] int saves_under_way() const;  // without those that on_saved has named or is naming

 private:
  // The slots that a worker writes now.
  struct Arena {
    std::vector<std::shared_ptr<Region>> slots;
    std::uint64_t first_place = 0;
  };

  SnapshotKeeper(const KeeperOptions& options, KeeperEvents events);
  std::shared_ptr<Shelf> shelf_now();
  void close(const std::shared_ptr<Shelf>& shelf);

  Mutex mutex_;
  std::shared_ptr<Shelf> shelf_ REGROUP_GUARDED_BY(mutex_);  // of the job that is worked for
  std::map<WorkerId, Arena> arenas_ REGROUP_GUARDED_BY(mutex_);
  std::uint64_t next_place_ REGROUP_GUARDED_BY(mutex_) = 0;
  Saver saver_;
  Taker taker_;
  std::unique_ptr<PeerServer> server_;  // last: it reads the rest
};

}  // namespace regroup::agent
