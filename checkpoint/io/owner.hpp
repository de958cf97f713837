// owner.hpp: whose checkpoints a directory gets. Two runs that do not know of each other (another etcd, another --dir)
// may name one directory: what one of them wrote must not stand in the other's chain. Blocking.
#pragma once

#include "base/result.hpp"

#include <string>

namespace regroup::checkpoint {

// Of a job's incarnation: its secret, which only those who work for it have, hashed.
std::string owner_id(const std::string& secret);

// From here on `root` is this run's. Gives who it was before, one sentence; "" if nobody, or the same.
Result<std::string> own(const std::string& root, const std::string& job, const std::string& id);

// kConflict: another run has taken `root` over since, which is said with its job and the time. Where nobody wrote down
// whose it is, it is anybody's.
Result<void> check_owner(const std::string& root, const std::string& id);

}  // namespace regroup::checkpoint
