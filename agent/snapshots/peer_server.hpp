// peer_server.hpp: the peer port: admits those who prove the job's secret and answers them, each connection on a thread
// of its own.
//
// Bounded: at most 64 connections; the one that has rested longest between two requests makes room for a new one. A
// connection ends when its proof takes longer than `idle`, when no byte of a request comes for `idle`, after ten
// minutes without a request, and at the first frame that is none. Any thread.
#pragma once

#include "agent/snapshots/shelf.hpp"
#include "base/mutex.hpp"
#include "net/address.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

namespace regroup::agent {

class PeerServer {
 public:
  // `shelf_now`: of the job that is worked for, or null; called on threads of the server. kBadInput, kUnavailable:
  // cannot listen there.
  static Result<std::unique_ptr<PeerServer>> start(const std::string& listen, std::chrono::milliseconds idle,
                                                   std::function<std::shared_ptr<Shelf>()> shelf_now);
  ~PeerServer();  // ends every connection
  PeerServer(const PeerServer&) = delete;
  PeerServer& operator=(const PeerServer&) = delete;
  [[nodiscard]] std::string address() const { return listener_.address; }
  void job_ended() { copies_->clear(); }  // memory that waits idle for its copies is given back

 private:
  struct Connection;

  PeerServer(ListeningSocket listener, int stop, std::chrono::milliseconds idle,
             std::function<std::shared_ptr<Shelf>()> shelf_now);
  void accept_loop();
  void admit(int fd);
  void run(Connection& connection);
  bool make_room_locked() REGROUP_REQUIRES(mutex_);
  void reap();
  void serve(Connection& connection);
  bool rest(Connection& connection);

  ListeningSocket listener_;
  const int stop_;  // an eventfd that ends the acceptor's wait
  const std::chrono::milliseconds idle_;
  const std::function<std::shared_ptr<Shelf>()> shelf_now_;
  const std::shared_ptr<RegionPool> copies_;
  Mutex mutex_;
  std::list<Connection> connections_ REGROUP_GUARDED_BY(mutex_);
  // Those between two requests, and since when.
  std::map<const Connection*, std::chrono::steady_clock::time_point> resting_ REGROUP_GUARDED_BY(mutex_);
  std::set<const Connection*> done_ REGROUP_GUARDED_BY(mutex_);  // their threads end
  std::thread acceptor_;                                         // last: it uses the rest
};

}  // namespace regroup::agent
