// etcd_streams.hpp: the two streams of etcd_rpc.hpp on gRPC, and who is open at which endpoint. Private to this folder.
#pragma once

#include "base/mutex.hpp"
#include "etcd.grpc.pb.h"
#include "store/etcd/etcd_rpc.hpp"

#include <set>

namespace regroup {

// gRPC counts deadlines on the wall clock.
std::chrono::system_clock::time_point on_wall_clock(Deadline deadline);

// The streams of each endpoint, so that those of one that disappointed can be cancelled.
struct StreamRegistry {
  Mutex mutex;
  std::set<std::pair<int, EtcdStream*>> streams REGROUP_GUARDED_BY(mutex);
};
void cancel_streams(StreamRegistry& registry, int endpoint);

// Listed in the registry for as long as they live. The stub must outlive them.
std::unique_ptr<WatchStream> open_watch_stream(std::shared_ptr<StreamRegistry> registry, int endpoint,
                                               etcdserverpb::Watch::Stub& stub, Deadline end);
std::unique_ptr<KeepAliveStream> open_keep_alive_stream(std::shared_ptr<StreamRegistry> registry, int endpoint,
                                                        etcdserverpb::Lease::Stub& stub);

}  // namespace regroup
