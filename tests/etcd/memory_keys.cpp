#include "tests/etcd/memory_keys.hpp"

namespace regroup {

const KeyValue* MemoryKeys::find(const std::string& key) const {
  const auto it = keys_.find(key);
  return it == keys_.end() ? nullptr : &it->second;
}

std::vector<KeyValue> MemoryKeys::under(const std::string& prefix) const {
  std::vector<KeyValue> found;
  for (auto it = keys_.lower_bound(prefix); it != keys_.end() && it->first.starts_with(prefix); ++it)
    found.push_back(it->second);
  return found;
}

bool MemoryKeys::holds(const Compare& compare) const {
  const auto it = keys_.find(compare.key);
  const bool exists = it != keys_.end();
  switch (compare.target) {
    case Compare::Target::kCreateRevision:
      return (exists ? it->second.create_revision : 0) == compare.number;
    case Compare::Target::kModRevision:
      return (exists ? it->second.mod_revision : 0) == compare.number;
    case Compare::Target::kVersion:
      return (exists ? it->second.version : 0) == compare.number;
    case Compare::Target::kValue:
      return exists && it->second.value == compare.value;
  }
  return false;
}

MemoryKeys::Applied MemoryKeys::apply(const std::vector<Op>& ops) {
  const std::int64_t next = revision_ + 1;
  Applied done;
  done.reads.resize(ops.size());
  const auto remove = [&](std::map<std::string, KeyValue>::iterator it) {
    WatchEvent event{WatchEvent::Kind::kDelete, {}};
    event.kv.key = it->first;
    event.kv.mod_revision = next;
    done.events.push_back(event);
    return keys_.erase(it);
  };
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const Op& op = ops[i];
    const auto it = keys_.find(op.key);
    if (op.kind == Op::Kind::kGet) {
      if (it != keys_.end()) done.reads[i].push_back(it->second);
    } else if (op.kind == Op::Kind::kDelete) {
      if (it != keys_.end()) remove(it);
    } else if (op.kind == Op::Kind::kDeletePrefix) {
      for (auto at = keys_.lower_bound(op.key); at != keys_.end() && at->first.starts_with(op.key);) at = remove(at);
    } else {
      KeyValue& kv = keys_[op.key];
      if (it == keys_.end()) kv.create_revision = next;
      kv.key = op.key;
      kv.value = op.value;
      kv.mod_revision = next;
      ++kv.version;
      kv.lease = op.lease;
      done.events.push_back({WatchEvent::Kind::kPut, kv});
    }
  }
  if (!done.events.empty()) revision_ = next;
  return done;
}

std::vector<Op> MemoryKeys::deletions_of(std::int64_t lease) const {
  std::vector<Op> ops;
  for (const auto& [key, kv] : keys_)
    if (kv.lease == lease) ops.push_back({Op::Kind::kDelete, key, "", 0});
  return ops;
}

}  // namespace regroup
