// cluster_file.hpp: DIR/cluster.json: how the commands of other terminals find the cluster of a `regroup local`.
#pragma once

#include "base/result.hpp"

#include <string>

namespace regroup::cli {

struct ClusterFile {
  std::string etcd;     // HOST:PORT
  std::string cluster;  // its name
  std::string job;
};

// kBadInput: DIR cannot be written.
Result<void> write_cluster_file(const std::string& dir, const ClusterFile& file);
// kNotFound: there is none, or it cannot be read; kBadInput: it is no such file (names file and key).
Result<ClusterFile> read_cluster_file(const std::string& dir);

}  // namespace regroup::cli
