// lease_keeper.hpp: keeps all leases of one EtcdStore alive over one stream. Private to this folder.
//
// A writer thread sends each lease's renewal at a third of its TTL, a reader takes the answers, a clock thread declares
// losses (a tenth of the TTL before the last acknowledged renewal, counted from when it was sent, runs out) and runs
// on_lost. A stream that does not answer within a third of the TTL is replaced, on another endpoint if there is one.
#pragma once

#include "store/etcd/etcd_rpc.hpp"

namespace regroup {

struct LeaseRenewal;

class LeaseKeeper {
 public:
  LeaseKeeper(std::shared_ptr<EtcdRpc> rpc, std::chrono::milliseconds timeout);
  ~LeaseKeeper();  // leases that are still held report lost when their time is up

  // Any thread; blocks for `timeout` at most. Codes as in store/store.hpp.
  Result<std::unique_ptr<Lease>> grant(std::chrono::milliseconds ttl, std::function<void()> on_lost);

 private:
  std::shared_ptr<LeaseRenewal> renewal_;  // its threads share it
};

}  // namespace regroup
