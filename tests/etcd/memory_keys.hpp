// memory_keys.hpp: the keys of one MemoryStore: revisions, comparisons and operations as etcd has them. Pure. Private
// to this folder.
#pragma once

#include "store/store.hpp"

#include <map>
#include <string>
#include <vector>

namespace regroup {

class MemoryKeys {
 public:
  struct Applied {
    std::vector<std::vector<KeyValue>> reads;  // of each operation, as TxnResult has them
    std::vector<WatchEvent> events;            // what changed, in order
  };

  [[nodiscard]] std::int64_t revision() const { return revision_; }
  [[nodiscard]] const KeyValue* find(const std::string& key) const;  // null when there is none; until the next apply
  [[nodiscard]] std::vector<KeyValue> under(const std::string& prefix) const;
  [[nodiscard]] bool holds(const Compare& compare) const;
  // Does the operations at revision + 1, which becomes the revision if anything changes.
  Applied apply(const std::vector<Op>& ops);
  // What deletes all keys of a lease.
  [[nodiscard]] std::vector<Op> deletions_of(std::int64_t lease) const;

 private:
  std::int64_t revision_ = 1;  // as a fresh etcd
  std::map<std::string, KeyValue> keys_;
};

}  // namespace regroup
