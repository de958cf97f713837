#include "coordinator/planner/tree_buffers.hpp"

#include "coordinator/planner/grouping.hpp"
#include "layout/tree.hpp"

#include <algorithm>

namespace regroup::planning {
namespace {

int num_nodes(const ChainRange& chains) { return static_cast<int>(cover(chains.first, chains.end).size()); }

// In a group that sums these chains by itself.
TreeBuffers buffers_of_own(const ChainRange& chains, int microbatches_per_chain, int members) {
  const int microbatches = (chains.end - chains.first) * microbatches_per_chain;
  const int in_last_wave = (microbatches - 1) % members + 1;
  const int last_wave = chains.end * microbatches_per_chain - in_last_wave;
  int before = 1, most = 1;  // every shard has an accumulator from the start of the step
  std::vector<TreeNode> waiting;
  for (int chain = chains.first; chain < chains.end; ++chain) {
    const int held = static_cast<int>(waiting.size()) + 1;
    most = std::max(most, held);
    if (chain * microbatches_per_chain < last_wave) before = std::max(before, held);
    joins_after_push(waiting, {0, chain});
  }
  return {before, 0, most - before};
}

}  // namespace

TreeBuffers tree_buffers(const JobSpec& job, int members, int groups) {
  const int chains = std::max(1, job.chains), microbatches = std::max(job.microbatches, chains);
  const std::vector<int> sizes(static_cast<std::size_t>(std::clamp(groups, 1, chains)), members);
  const std::vector<ChainRange> cuts = cut_chains(sizes, chains, microbatches);
  int nodes = 0;
  for (const ChainRange& cut : cuts) nodes += num_nodes(cut);
  TreeBuffers most;
  for (const ChainRange& cut : cuts) {
    const TreeBuffers own = buffers_of_own(cut, microbatches / chains, members);
    const int sent = num_nodes(cut);  // they stay until they have left
    const int of_all = std::max(own.of_all, sent) + nodes - sent;
    most.of_all = std::max(most.of_all, of_all);
    most.of_dense = std::max(most.of_dense, cuts.size() > 1 && own.of_all <= sent ? 1 : 0);
    most.at_work = std::max(most.at_work, own.of_all + own.at_work - std::max(own.of_all, sent));
  }
  return most;
}

}  // namespace regroup::planning
