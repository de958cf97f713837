// snapshot_client.hpp: asks an agent's peer port for the snapshots it keeps. Blocking; one thread, one request at a
// time; used by workers at a regroup and by agents. An agent that serves many others lets it wait, and says so at
// times. Besides the codes below: kPeerLost, kTimeout; then the connection is of no use.
#pragma once

#include "api/worker_protocol.hpp"
#include "net/peer_socket.hpp"

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace regroup {

struct HeldSnapshot {
  WorkerId taken_by;
  SnapshotInfo info;  // entries as in the holder's memory
};

class SnapshotClient {
 public:
  // Proves the job's secret. kUnavailable, kTimeout, kBadInput (wrong secret).
  static Result<std::unique_ptr<SnapshotClient>> connect(const std::string& agent_address, const std::string& job,
                                                         const std::string& secret, std::chrono::milliseconds timeout);
  Result<std::vector<HeldSnapshot>> list();  // complete and checked ones only, own and buddies'
  // Master, first and second moment of these blocks of that step, one after the other, into `into` (3 * blocks *
  // block_elements floats). kNotFound, kCorrupt.
  Result<void> fetch(Step step, int unit, Interval blocks, std::span<float> into);
  [[nodiscard]] bool is_broken() const { return broken_; }  // of no more use: connect again

 private:
  SnapshotClient(PeerSocket socket, std::string who) : socket_(std::move(socket)), who_(std::move(who)) {}
  Result<std::string> ask(const std::string& request);

  PeerSocket socket_;
  std::string who_;
  bool broken_ = false;
};

}  // namespace regroup
