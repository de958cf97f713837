// fake_etcd.hpp: etcd's keys, revisions, transactions and leases as plain values, without threads: what cores are
// tested against.
#pragma once

#include "store/store.hpp"

#include <map>
#include <string>
#include <vector>

namespace regroup::coordinator::test {

class FakeEtcd {
 public:
  std::int64_t revision = 1;
  std::map<std::string, KeyValue> keys;
  std::vector<WatchEvent> log;  // every change, in order

  void put(const std::string& key, const std::string& value, std::int64_t lease = 0) {
    ++revision;
    put_at(key, value, lease);
  }
  void erase(const std::string& key) {
    ++revision;
    erase_at(key);
  }
  void expire(std::int64_t lease) {
    ++revision;
    std::vector<std::string> gone;
    for (const auto& [key, kv] : keys) {
      if (kv.lease == lease) gone.push_back(key);
    }
    for (const std::string& key : gone) erase_at(key);
  }
  [[nodiscard]] const KeyValue* get(const std::string& key) const {
    const auto found = keys.find(key);
    return found == keys.end() ? nullptr : &found->second;
  }
  bool txn(const std::vector<Compare>& when, const std::vector<Op>& then) {
    for (const Compare& compare : when) {
      const KeyValue* kv = get(compare.key);
      const std::int64_t number = kv == nullptr                                        ? 0
                                  : compare.target == Compare::Target::kCreateRevision ? kv->create_revision
                                                                                       : kv->mod_revision;
      if (number != compare.number) return false;
    }
    ++revision;
    for (const Op& op : then) {
      if (op.kind == Op::Kind::kPut) put_at(op.key, op.value, op.lease);
      if (op.kind == Op::Kind::kDelete) erase_at(op.key);
    }
    return true;
  }
  // The whole content, as a watch tells it after a reset; `known` are the keys its watcher had.
  [[nodiscard]] WatchUpdate everything(const std::map<std::string, KeyValue>& known = {}) const {
    WatchUpdate update{true, true, revision, {}};
    for (const auto& [key, kv] : known) {
      if (!keys.contains(key)) update.events.push_back({WatchEvent::Kind::kDelete, {key, "", 0, revision, 0, 0}});
    }
    for (const auto& [key, kv] : keys) update.events.push_back({WatchEvent::Kind::kPut, kv});
    return update;
  }

 private:
  void put_at(const std::string& key, const std::string& value, std::int64_t lease) {
    KeyValue& kv = keys[key];
    if (kv.create_revision == 0) kv.create_revision = revision;
    kv.key = key;
    kv.value = value;
    kv.mod_revision = revision;
    kv.lease = lease;
    ++kv.version;
    log.push_back({WatchEvent::Kind::kPut, kv});
  }
  void erase_at(const std::string& key) {
    if (keys.erase(key) > 0) log.push_back({WatchEvent::Kind::kDelete, {key, "", 0, revision, 0, 0}});
  }
};

}  // namespace regroup::coordinator::test
