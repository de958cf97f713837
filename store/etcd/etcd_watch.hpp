// etcd_watch.hpp: one watch of EtcdStore: a thread that lists, follows a stream, and resumes. Private to this folder.
//
// Lists at revision R, then follows from R + 1; after a cut from the revision after the last one told. Lists again, and
// tells only the difference or a reset, when that revision is compacted, when the cluster behind the address is another
// one or went back in time, and every `repair_every`.
#pragma once

#include "store/etcd/etcd_rpc.hpp"

namespace regroup {

std::unique_ptr<Watch> start_etcd_watch(std::shared_ptr<EtcdRpc> rpc, const EtcdOptions& options,
                                        const std::string& prefix, std::function<void(const WatchUpdate&)> callback);

}  // namespace regroup
