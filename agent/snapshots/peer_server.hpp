// peer_server.hpp: the peer port: admits those who prove the job's secret and answers them, each connection on a thread
// of its own.
//
// Bounded (peer_limits.hpp): the connection that has rested longest between two requests makes room for a new one, and
// among strangers the oldest, once it has had time to prove itself. Who asks when enough others are being answered
// waits and is told so. A connection ends when its proof takes longer than `idle`, when no byte of a request comes for
// `idle`, after ten minutes without a request, and at the first frame that is none. Any thread.
#pragma once

#include "agent/snapshots/peer_limits.hpp"
#include "agent/snapshots/shelf.hpp"
#include "base/mutex.hpp"
#include "net/address.hpp"
#include "net/peer_socket.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

namespace regroup::agent {

class PeerServer {
 public:
  // `shelf_now`: of the job that is worked for, or null; called on threads of the server. kBadInput, kUnavailable:
  // cannot listen there.
  static Result<std::unique_ptr<PeerServer>> start(const std::string& listen, std::chrono::milliseconds idle,
                                                   const PeerLimits& limits,
                                                   std::function<std::shared_ptr<Shelf>()> shelf_now);
  ~PeerServer();  // ends every connection
  PeerServer(const PeerServer&) = delete;
  PeerServer& operator=(const PeerServer&) = delete;
  [[nodiscard]] std::string address() const { return listener_.address; }
  void job_ended() { copies_->clear(); }  // memory that waits idle for its copies is given back

 private:
  struct Connection;

  PeerServer(ListeningSocket listener, int stop, std::chrono::milliseconds idle, const PeerLimits& limits,
             std::function<std::shared_ptr<Shelf>()> shelf_now);
  void accept_loop();
  std::optional<std::chrono::milliseconds> until_room();  // for one more stranger; none: there is
  void admit(int fd);
  void run(Connection& connection);
  bool make_room_locked() REGROUP_REQUIRES(mutex_);
  void reap();
  void serve(Connection& connection);
  Result<void> answer_in_turn(PeerSocket& socket, Shelf& shelf, const std::string& request);
  bool turn_soon();
  void end_turn();
  bool rest(Connection& connection);

  ListeningSocket listener_;
  const int stop_;  // an eventfd that ends the acceptor's wait
  const std::chrono::milliseconds idle_;
  const PeerLimits limits_;
  const std::function<std::shared_ptr<Shelf>()> shelf_now_;
  const std::shared_ptr<RegionPool> copies_;
  Mutex mutex_;
  std::list<Connection> connections_ REGROUP_GUARDED_BY(mutex_);
  using Since = std::map<const Connection*, std::chrono::steady_clock::time_point>;
  Since strangers_ REGROUP_GUARDED_BY(mutex_);
  Since resting_ REGROUP_GUARDED_BY(mutex_);  // between two requests
  Condition turn_ended_;
  std::size_t at_work_ REGROUP_GUARDED_BY(mutex_) = 0;
  std::set<const Connection*> done_ REGROUP_GUARDED_BY(mutex_);  // their threads end
  std::thread acceptor_;                                         // last: it uses the rest
};

}  // namespace regroup::agent
