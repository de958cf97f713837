// first_sight.hpp: since when a record has said a thing, whatever else rewrites the record. Pure.
//
// A node's record is written anew when any of its workers moves, and a worker's list of suspicions when any of them
// comes or goes. So the time of the last writing says nothing about how long one entry has stood there. Here each entry
// keeps the instant at which this process first saw it, until a record no longer has it.
#pragma once

#include "base/now.hpp"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace regroup::coordinator {

// Of one record. Thing: what it says, comparable, with the epoch in which it says it.
template <class Thing>
class FirstSight {
 public:
  // The whole present list.
  void says(const std::vector<Thing>& things, Instant now) {
    std::map<Thing, Instant> kept;
    for (const Thing& thing : things) {
      const auto before = since_.find(thing);
      kept.emplace(thing, before == since_.end() ? now : before->second);
    }
    since_ = std::move(kept);
  }
  [[nodiscard]] std::optional<Instant> since(const Thing& thing) const {
    const auto found = since_.find(thing);
    return found == since_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<Thing, Instant> since_;
};

}  // namespace regroup::coordinator
