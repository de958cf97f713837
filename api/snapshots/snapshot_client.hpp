// snapshot_client.hpp: asks an agent's peer port for the snapshots it keeps. Blocking; one request at a time; used by
// workers at a regroup and by agents.
#pragma once

#include "api/worker_protocol.hpp"

#include <chrono>
#include <memory>
#include <span>

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
  virtual ~SnapshotClient() = default;
  virtual Result<std::vector<HeldSnapshot>> list() = 0;  // complete and checked ones only, own and buddies'
  // Master, first and second moment of these blocks of that step, one after the other, into `into` (3 * blocks *
  // block_elements floats). kNotFound, kCorrupt.
  virtual Result<void> fetch(Step step, int unit, Interval blocks, std::span<float> into) = 0;
};

}  // namespace regroup
