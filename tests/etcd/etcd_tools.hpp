// etcd_tools.hpp: what tests do with private etcds beside their client: etcdctl, and a cluster of several.
#pragma once

#include "cli/etcd/etcd_process.hpp"

namespace regroup::testing {

// Runs etcdctl with these arguments against this member. Output of it; kInternal with its message when it fails.
Result<std::string> etcdctl(const cli::EtcdProcess& etcd, const std::vector<std::string>& arguments);

// A cluster of members that know each other, all ready.
Result<std::vector<std::unique_ptr<cli::EtcdProcess>>> start_etcd_cluster(int members);

}  // namespace regroup::testing
