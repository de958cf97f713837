// seen.hpp: a record as etcd has it, with when this process first saw its key and last saw it change. Pure.
#pragma once

#include "base/now.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace regroup::coordinator {

template <class T>
struct Seen {
  T value;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t lease = 0;
  Instant first_seen{};  // of the key; survives changes of its value
  Instant last_changed{};
};

template <class T>
Seen<T> seen(T value, const KeyValue& kv, const Now& now, const Seen<T>* before) {
  const std::int64_t created = kv.create_revision != 0 ? kv.create_revision
                               : before != nullptr     ? before->create_revision
                                                       : kv.mod_revision;
  Seen<T> result{std::move(value), created, kv.mod_revision, kv.lease, now.at, now.at};
  if (before != nullptr && before->create_revision == created) {
    result.first_seen = before->first_seen;
    if (before->mod_revision == kv.mod_revision) result.last_changed = before->last_changed;
  }
  return result;
}

template <class Map, class Key, class T>
void keep(Map& map, const Key& key, T value, const KeyValue& kv, const Now& now) {
  auto found = map.find(key);
  auto entry = seen(std::move(value), kv, now, found == map.end() ? nullptr : &found->second);
  map.insert_or_assign(key, std::move(entry));
}

template <class T>
void keep(std::optional<Seen<T>>& slot, T value, const KeyValue& kv, const Now& now) {
  slot = seen(std::move(value), kv, now, slot ? &*slot : nullptr);
}

}  // namespace regroup::coordinator
