// txn_check.hpp: what etcd refuses in a transaction, found before it is sent. Pure; both stores use it, so that a test
// in memory fails where etcd would.
#pragma once

#include "store/store.hpp"

namespace regroup {

inline constexpr std::size_t kMaxTxnOps = 128;                // per list, etcd's default
inline constexpr std::size_t kMaxRequestBytes = 1024 * 1024;  // our own rule; etcd's default is 1.5 MiB

// kBadInput: too many entries, too many bytes, an empty key, or a key written twice.
Result<void> check_txn(const std::vector<Compare>& when, const std::vector<Op>& then, const std::vector<Op>& otherwise);

}  // namespace regroup
