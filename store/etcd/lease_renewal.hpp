// lease_renewal.hpp: the leases of one LeaseKeeper and the threads that renew them and declare them lost. Private to
// lease_keeper.cpp, whose header says the rules.
#pragma once

#include "base/mutex.hpp"
#include "base/now.hpp"
#include "store/etcd/etcd_rpc.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace regroup {

struct KeptLease {
  std::int64_t id = 0;
  std::chrono::milliseconds ttl{};
  // Under LeaseRenewal::mutex.
  Instant certain_until;
  Instant next_send;
  Instant sent = Instant::max();  // of the renewal that waits for its answer; max = none waits
  bool ended = false;             // lost, revoked or let go
  bool lost = false;

  std::recursive_mutex running;  // held by on_lost; recursive so that it may let its own lease go
  bool closed = false;
  std::function<void()> on_lost;

  Instant lose_at() const { return certain_until - ttl / 10; }
};

struct LeaseRenewal {
  std::shared_ptr<EtcdRpc> rpc;
  std::chrono::milliseconds timeout{};

  Mutex mutex;
  Condition wake_writer;
  Condition wake_clock;
  bool stopping REGROUP_GUARDED_BY(mutex) = false;
  bool stream_broken REGROUP_GUARDED_BY(mutex) = false;
  KeepAliveStream* stream REGROUP_GUARDED_BY(mutex) = nullptr;
  std::map<std::int64_t, std::shared_ptr<KeptLease>> leases REGROUP_GUARDED_BY(mutex);
  std::vector<std::shared_ptr<KeptLease>> to_tell REGROUP_GUARDED_BY(mutex);  // lost, on_lost not yet run
  std::thread writer;
  std::thread clock;

  void lose(const std::shared_ptr<KeptLease>& lease, const char* why) REGROUP_REQUIRES(mutex);

  void run_clock();   // declares losses and tells of them
  void run_writer();  // opens one stream after the other
  void run_reader(KeepAliveStream& from);
  // Sends renewals until the stream breaks, an answer is overdue, or the end. True when the endpoint is to blame.
  bool feed(KeepAliveStream& to);
};

}  // namespace regroup
