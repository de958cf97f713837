// buddy_sender.hpp: sends snapshots to one other agent, one after the other, over a connection that stays open. One
// thread of its own.
//
// The connection may have died since the last snapshot: then the next one is tried once more over a new connection, and
// has failed if that fails. What was removed from the shelf while it waited is not sent. The queue is bounded as the
// taker's is. The destructor breaks off what is under way and answers everything.
#pragma once

#include "agent/snapshots/shelf.hpp"
#include "api/snapshots/peer_wire.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>

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
  [[nodiscard]] bool idle() const;

 private:
  void work();
  Result<void> put(const Sending& sending);
  Result<void> connect(const std::shared_ptr<Shelf>& shelf);
  void hang_up();

  const std::string address_;
  const std::chrono::milliseconds idle_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Sending> queue_;
  bool busy_ = false;
  bool stopping_ = false;
  std::optional<PeerSocket> socket_;  // set and reset under the lock, used by the thread alone
  std::shared_ptr<Shelf> connected_for_;
  std::thread thread_;  // last: it uses the rest
};

}  // namespace regroup::agent
