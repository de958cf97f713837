// txn_check.hpp: what etcd refuses in a transaction, found before it is sent. Pure; both stores use it, so that a test
// in memory fails where etcd would.
#pragma once

#include "store/store.hpp"

namespace regroup {

inline constexpr std::size_t kMaxTxnOps = 128;  // per list, etcd's default
// Our own rules; etcd's default is 1.5 MiB for all of a request. What stands beside a value of the greatest size: its
// key, and small ones that go with it.
inline constexpr std::size_t kMaxValueBytes = 1024 * 1024;
inline constexpr std::size_t kMaxRequestBytes = kMaxValueBytes + 64 * 1024;

// kBadInput: too many entries, too many bytes, an empty key, or a key written twice.
Result<void> check_txn(const std::vector<Compare>& when, const std::vector<Op>& then, const std::vector<Op>& otherwise);

}  // namespace regroup
