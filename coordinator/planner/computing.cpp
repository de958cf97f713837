#include "coordinator/planner/computing.hpp"

#include "base/bytes_text.hpp"
#include "coordinator/planner/memory_need.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace regroup::planning {
namespace {

std::int64_t memory_of(const JobSpec& job, const Candidate& candidate) {
  if (job.elastic.worker_memory_bytes > 0) return job.elastic.worker_memory_bytes;
  return candidate.memory_bytes > 0 ? candidate.memory_bytes : std::numeric_limits<std::int64_t>::max();
}

// The ranks that together can hold one copy, each with memory for its share: ascending, with the least memory of one of
// them. Empty when no number of ranks can.
struct Able {
  std::vector<int> ranks;
  std::int64_t least_memory = 0;
};

Able fits_in_memory(const World& world, const JobSpec& job) {
  std::vector<std::pair<std::int64_t, int>> by_memory;  // largest first
  for (int rank = 0; rank < world.size(); ++rank) by_memory.emplace_back(memory_of(job, *world.workers[rank]), rank);
  std::stable_sort(by_memory.begin(), by_memory.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  while (!by_memory.empty()) {
    const std::int64_t least = by_memory.back().first;
    const int computing = std::min(static_cast<int>(by_memory.size()), job.microbatches);
    if (memory_needed(job, computing) <= least) {
      Able able;
      able.least_memory = least;
      for (const auto& [memory, rank] : by_memory) able.ranks.push_back(rank);
      std::sort(able.ranks.begin(), able.ranks.end());
      return able;
    }
    while (!by_memory.empty() && by_memory.back().first == least) by_memory.pop_back();
  }
  return {};
}

}  // namespace

Computing choose_computing(const World& world, const JobSpec& job) {
  auto [ranks, least_memory] = fits_in_memory(world, job);
  const int num_able = static_cast<int>(ranks.size());
  if (num_able > job.microbatches) {
    std::stable_partition(ranks.begin(), ranks.end(), [&](int rank) { return world.old_group[rank] >= 0; });
    std::stable_partition(ranks.begin(), ranks.end(), [&](int rank) { return !world.kept[rank].empty(); });
    ranks.resize(static_cast<std::size_t>(job.microbatches));
    std::sort(ranks.begin(), ranks.end());
  }
  return {std::move(ranks), num_able, least_memory};
}

std::string too_little_memory(const World& world, const JobSpec& job) {
  std::int64_t largest = 0;
  for (const Candidate* c : world.workers) largest = std::max(largest, memory_of(job, *c));
  return "one copy of the training state does not fit: on " + std::to_string(world.size()) + " workers each needs " +
         memory_text(memory_needed(job, world.size())) + ", the largest has " + memory_text(largest) +
         "; add workers or memory";
}

}  // namespace regroup::planning
