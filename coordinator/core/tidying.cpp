#include "coordinator/core/tidying.hpp"

#include "coordinator/core/roster.hpp"

#include <algorithm>
#include <utility>

namespace regroup::coordinator {
namespace {

constexpr std::size_t kPlansBytes = 4 << 20;  // about what the plans that stay may have together
constexpr std::size_t kFewestPlans = 4;       // however large

// `keep` entries stay, the newest, and all that `stays` names.
template <class Entries, class Stays, class KeyOf>
void drop_oldest(const Entries& entries, std::size_t keep, Stays stays, KeyOf key_of, const char* reason,
                 std::vector<Removal>& found) {
  if (entries.size() < 2 * keep) return;
  Removal removal{{}, {}, reason};
  auto old = entries.begin();
  for (std::size_t i = 0; i + keep < entries.size(); ++i, ++old)
    if (!stays(old->first)) removal.keys.push_back(key_of(old->first));
  if (!removal.keys.empty()) found.push_back(std::move(removal));
}

void drop_old_plans(const JobRecords& job, const Keys& keys, std::size_t most, std::vector<Removal>& found) {
  if (job.history.empty() || !job.plan || !job.plan_error.empty()) return;
  const std::size_t bytes = job.history.rbegin()->second.size();
  drop_oldest(
      job.history, std::clamp(kPlansBytes / std::max<std::size_t>(1, bytes), kFewestPlans, most),
      [&](std::uint64_t epoch) { return Epoch(epoch) == job.plan->value.epoch; },
      [&](std::uint64_t epoch) { return keys.plan(job.name, Epoch(epoch)); }, "old plans", found);
}

// Of nodes that are neither there nor in the plan. The newest stays: it says how far the job came; and so does what
// says more than that its node trained or waited.
void drop_old_progress(const ClusterView& view, const JobRecords& job, std::vector<Removal>& found) {
  if (!job.is_in_force() || job.outcome) return;
  const auto age = [](const auto& entry) { return std::pair(entry.second.value.epoch, entry.second.value.step); };
  const auto newest = std::max_element(job.progress.begin(), job.progress.end(),
                                       [&](const auto& a, const auto& b) { return age(a) < age(b); });
  for (auto of_node = job.progress.begin(); of_node != job.progress.end(); ++of_node) {
    const auto& [node, progress] = *of_node;
    const bool says_more =
        (progress.value.state != ProgressState::kTraining && progress.value.state != ProgressState::kWaiting) ||
        (progress.value.safe >= Step(0) && !job.born);
    if (of_node == newest || says_more || view.node(node) != nullptr || names_node(job.plan->value, node)) continue;
    found.push_back({{view.keys().progress(job.name, node)}, progress.mod_revision, "progress of a node that is gone"});
  }
}

}  // namespace

std::vector<Removal> removals(const ClusterView& view, const JobRecords& job) {
  const Keys& keys = view.keys();
  std::vector<Removal> found;
  for (const auto& [id, revision] : spent_wishes(job))
    found.push_back({{keys.wish(job.name, id)}, revision, "the wish is done or overtaken"});
  for (const auto& [node, load] : job.loads)
    if (job.newest_load() != &load) found.push_back({{keys.load(job.name, node)}, load.mod_revision, "an old load"});
  drop_old_progress(view, job, found);
  const auto keep = static_cast<std::size_t>(view.timing().keep_plans);
  drop_oldest(
      job.checkpoints, keep, [](Step) { return false; }, [&](Step step) { return keys.checkpoint(job.name, step); },
      "old checkpoints", found);
  drop_old_plans(job, keys, keep, found);
  return found;
}

}  // namespace regroup::coordinator
