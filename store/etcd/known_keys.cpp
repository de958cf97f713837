#include "store/etcd/known_keys.hpp"

namespace regroup {

std::vector<WatchEvent> KnownKeys::become(const Listing& listing, bool all) {
  std::vector<WatchEvent> events;
  std::map<std::string, std::int64_t> present;
  for (const KeyValue& kv : listing.keys) {
    present.emplace(kv.key, kv.mod_revision);
    const auto known = revisions_.find(kv.key);
    if (all || known == revisions_.end() || known->second != kv.mod_revision)
      events.push_back({WatchEvent::Kind::kPut, kv});
  }
  for (const auto& [key, revision] : revisions_) {
    if (present.contains(key)) continue;
    WatchEvent gone{WatchEvent::Kind::kDelete, {}};
    gone.kv.key = key;
    gone.kv.mod_revision = listing.revision;
    events.push_back(gone);
  }
  revisions_ = std::move(present);
  return events;
}

}  // namespace regroup
