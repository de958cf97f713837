// buddy_sender.hpp: sends snapshots to one other agent, one after the other, over a connection that stays open. One
// thread of its own.
//
// The connection may have died since the last snapshot: then the next one is tried once more over a new connection, and
// has failed if that fails. What was removed from the shelf while it waited is not sent. The queue is bounded as the
// taker's is. The destructor breaks off what is under way and answers everything.
#pragma once

#include "agent/snapshots/shelf.hpp"
#include "api/snapshots/peer_wire.hpp"
#include "base/guarded.hpp"
#include "base/work_queue.hpp"
#include "net/peer_socket.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace regroup::agent {

class BuddySender {
 public:
  struct Sending {
    std::shared_ptr<Shelf> shelf;
    SnapshotPtr snapshot;
    Step safe;
    std::function<void(const Result<void>&)> done;  // on the sender's thread, exactly once
  };
  BuddySender(std::string address, std::chrono::milliseconds idle);
  ~BuddySender();
  void send(Sending sending);  // any thread
  [[nodiscard]] bool idle() const { return queue_.idle(); }

 private:
  Result<void> try_to_send(const Sending& sending);
  Result<void> put(const Sending& sending);
  Result<void> connect(const std::shared_ptr<Shelf>& shelf);
  void hang_up();

  const std::string address_;
  const std::chrono::milliseconds idle_;
  std::atomic<bool> stopping_{false};
  OneWriter<std::unique_ptr<PeerSocket>> socket_;    // used by the queue's thread, shut down by any
  std::shared_ptr<Shelf> connected_for_;             // the queue's thread alone
  WorkQueue queue_{WorkQueue::AtEnd::kRunsTheRest};  // last: its work uses the rest
};

}  // namespace regroup::agent
