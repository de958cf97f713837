#include "coordinator/core/tidying.hpp"

#include "coordinator/core/roster.hpp"

#include <utility>

namespace regroup::coordinator {
namespace {

// `keep` entries stay, the newest.
template <class Entries, class KeyOf>
void drop_oldest(const Entries& entries, std::size_t keep, KeyOf key_of, const char* reason,
                 std::vector<Removal>& found) {
  if (entries.size() < 2 * keep) return;
  Removal removal{{}, {}, reason};
  auto old = entries.begin();
  for (std::size_t i = 0; i + keep < entries.size(); ++i, ++old) removal.keys.push_back(key_of(old->first));
  found.push_back(std::move(removal));
}

}  // namespace

std::vector<Removal> removals(const ClusterView& view, const JobRecords& job) {
  const Keys& keys = view.keys();
  std::vector<Removal> found;
  for (const std::string& key : spent_wishes(view, job)) found.push_back({{key}, {}, "the wish is done or overtaken"});
  for (const auto& [node, load] : job.loads)
    if (job.newest_load() != &load) found.push_back({{keys.load(job.name, node)}, load.mod_revision, "an old load"});
  const auto keep = static_cast<std::size_t>(view.timing().keep_plans);
  drop_oldest(
      job.checkpoints, keep, [&](Step step) { return keys.checkpoint(job.name, step); }, "old checkpoints", found);
  drop_oldest(
      job.history, keep, [&](std::uint64_t epoch) { return keys.plan(job.name, Epoch(epoch)); }, "old plans", found);
  return found;
}

}  // namespace regroup::coordinator
