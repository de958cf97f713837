// peer_server.hpp: the peer port: admits those who prove the job's secret and answers them, each connection on a thread
// of its own.
//
// Bounded: at most 64 connections; the one that has rested longest between two requests makes room for a new one. A
// connection ends when its proof takes longer than `idle`, when no byte of a request comes for `idle`, after ten
// minutes without a request, and at the first frame that is none. Any thread.
#pragma once

#include "agent/snapshots/shelf.hpp"
#include "net/address.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
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
  bool make_room_locked();
  void reap();
  void serve(Connection& connection);
  bool rest(Connection& connection);
  void set_resting(Connection& connection, std::optional<std::chrono::steady_clock::time_point> since);

  ListeningSocket listener_;
  const int stop_;  // an eventfd that ends the acceptor's wait
  const std::chrono::milliseconds idle_;
  const std::function<std::shared_ptr<Shelf>()> shelf_now_;
  const std::shared_ptr<RegionPool> copies_;
  std::mutex mutex_;
  std::list<Connection> connections_;
  std::thread acceptor_;  // last: it uses the rest
};

}  // namespace regroup::agent
