// loopback.hpp: TCP on 127.0.0.1, as far as a private etcd needs it: which ports are free, and whether an etcd answers
// on one.
#pragma once

#include <vector>

namespace regroup::cli {

// Ports that were free a moment ago, all different; fewer when there are not so many.
std::vector<int> free_ports(int count);

// Whether we could listen there. Asked before a start, because what already answers on that port would pass for ours.
bool is_free(int port);

// Whether the etcd there says that its member has a leader. Waits up to a second for each part of the answer.
bool is_healthy(int port);

}  // namespace regroup::cli
