// known_keys.hpp: which keys a watch has told of, and at which revision; what a fresh list adds to that. Pure.
// One thread.
#pragma once

#include "store/store.hpp"

#include <map>
#include <vector>

namespace regroup {

class KnownKeys {
 public:
  void apply(const WatchEvent& event) {
    if (event.kind == WatchEvent::Kind::kPut) {
      revisions_[event.kv.key] = event.kv.mod_revision;
    } else {
      revisions_.erase(event.kv.key);
    }
  }

  // Now these keys, and no others, are known. The events that make it so; with `all`, a put of every key is among them.
  std::vector<WatchEvent> become(const Listing& listing, bool all);

 private:
  std::map<std::string, std::int64_t> revisions_;  // key -> mod_revision
};

}  // namespace regroup
