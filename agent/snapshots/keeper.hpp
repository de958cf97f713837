// keeper.hpp: the snapshots that this node keeps: those of its own workers, in shared memory that outlives them, and
// copies of other nodes'. Serves them to peers, sends them to a buddy, writes them to disk.
//
// A snapshot is checked when it is taken (one XXH3 a block and array) and those checksums go with it wherever it goes.
// Nothing is kept longer than needed: what is older than the newest step that every vote of a committed step
// acknowledged (`safe`) is dropped; a slot that its worker fills again loses what it held, here and at the buddy. A
// worker must not fill a slot again before its take is answered: bytes that change while they are summed cannot be told
// from the right ones. Threads: any thread may call; none but grant() takes long, and none waits for a peer or a disk.
// Events come on threads of the keeper and must only post. The destructor waits for the piece under way, and answers
// every take and save that is left with a problem.
#pragma once

#include "api/keeper_reports.hpp"
#include "api/worker_protocol.hpp"
#include "checkpoint/io/cancel.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace regroup {

struct KeeperOptions {
  std::string listen;                              // peer port: "unix:PATH" or "tcp:HOST:0"
  std::chrono::milliseconds idle{2000};            // a transfer without a byte for so long has failed
  std::chrono::milliseconds commit_wait{120'000};  // part 0 waits so long for the others' parts
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
  virtual ~SnapshotKeeper() = default;

  [[nodiscard]] virtual std::string address() const = 0;  // what peers dial
  // Whose snapshots are kept from now on; those of another job are dropped, with its takes that are not answered yet.
  // Peers must prove its secret. Saves go on to their end.
  virtual void work_for(const JobSpec& job) = 0;
  virtual void work_for_none() = 0;
  // Resident, zeroed memfds, one a slot. Snapshots in earlier slots of this worker, or of one that ran in its place
  // before, stay until they are too old. The descriptors are lent: valid until the next grant to this place or another
  // job. kBadInput: no slots or no bytes. kUnavailable: no memory. Clears memory, which takes from 0.3 s a GiB to ten
  // times that on a busy machine: keep it off a loop that has deadlines.
  virtual Result<std::vector<int>> grant(const WorkerId& worker, int slots, std::int64_t bytes) = 0;
  // Exactly one on_kept follows, in the order of the takes of one buddy, unless the job is dropped before. Nothing is
  // skipped. A rank that holds nothing (no entries) is answered at once. The same step offered again (same epoch, slot
  // and entries; for another buddy, say) is sent with its first checksums.
  virtual void take(const TakeRequest& request) = 0;
  // Saves of older epochs of the job that is worked for, which cannot complete any more (a node of theirs is gone), end
  // with a problem.
  virtual void cancel_saves_before(Epoch epoch) = 0;
  [[nodiscard]] virtual int saves_under_way() const = 0;  // without those that on_saved has named or is naming
};

}  // namespace regroup
