#include "store/join_updates.hpp"

#include <iterator>
#include <set>
#include <string_view>

namespace regroup {

bool join_updates(WatchUpdate& queued, WatchUpdate& next) {
  if (!queued.connected || !next.connected || next.reset) return false;
  std::set<std::string_view> newer;
  for (const WatchEvent& event : next.events) newer.insert(event.kv.key);
  std::erase_if(queued.events, [&](const WatchEvent& event) { return newer.contains(event.kv.key); });
  std::move(next.events.begin(), next.events.end(), std::back_inserter(queued.events));
  queued.revision = next.revision;
  return true;
}

}  // namespace regroup
