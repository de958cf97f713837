// peer_server.hpp: the peer port: admits those who prove the job's secret and answers them, each connection on a thread
// of its own.
//
// Bounded: at most 64 connections (one that rests makes room for a new one), the hello within `idle`, a request's bytes
// never `idle` apart, ten minutes between two requests. What a stranger sends harms nobody: its connection ends. Any
// thread.
#pragma once

#include "agent/snapshots/shelf.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace regroup {

class PeerServer {
 public:
  // `shelf_now`: of the job that is worked for, or null; called on threads of the server. kBadInput, kUnavailable:
  // cannot listen there.
  static Result<std::unique_ptr<PeerServer>> start(const std::string& listen, std::chrono::milliseconds idle,
                                                   std::function<std::shared_ptr<Shelf>()> shelf_now);
  virtual ~PeerServer() = default;  // ends every connection
  [[nodiscard]] virtual std::string address() const = 0;
  virtual void job_ended() = 0;  // what waits idle for it is given back
};

}  // namespace regroup
