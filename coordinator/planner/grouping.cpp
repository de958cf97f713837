#include "coordinator/planner/grouping.hpp"

#include "base/check.hpp"
#include "layout/units.hpp"

#include <algorithm>
#include <numeric>
#include <queue>
#include <tuple>

namespace regroup::planning {
namespace {

// Seats are filled by what single ranks hold while that takes at most so many comparisons; in larger clusters, where it
// would take too long, in order.
constexpr std::size_t kMostComparisons = 4096;

// What a group's members hold together.
class Coverage {
 public:
  explicit Coverage(const StateShape& shape)
      : shape_(shape), has_expert_(static_cast<std::size_t>(shape.num_experts())) {}
  void add(const Kept& kept) {
    for (int slot : kept.experts) has_expert_[slot] = true;
    dense_ = dense_.unite(kept.dense);
  }
  // Elements of `kept` that nobody here has.
  [[nodiscard]] std::int64_t lacks(const Kept& kept) const {
    const auto experts =
        std::count_if(kept.experts.begin(), kept.experts.end(), [&](int slot) { return !has_expert_[slot]; });
    return experts * shape_.expert_elements + kept.dense.subtract(dense_).size() * shape_.dense_block_elements;
  }

 private:
  const StateShape& shape_;
  std::vector<bool> has_expert_;
  IntervalSet dense_;
};

class Grouping {
 public:
  Grouping(const GroupingInput& input, const StateShape& shape) : input_(input), shape_(shape) {}

  std::vector<std::vector<int>> run() {
    keep_old_groups();
    set_sizes();
    release_or_fill();
    for (auto& group : groups_) std::sort(group.begin(), group.end());
    return std::move(groups_);
  }

 private:
  [[nodiscard]] std::int64_t held(int rank) const {
    const Kept& kept = (*input_.kept)[rank];
    return static_cast<std::int64_t>(kept.experts.size()) * shape_.expert_elements +
           kept.dense.size() * shape_.dense_block_elements;
  }
  [[nodiscard]] int room(std::size_t g) const { return sizes_[g] - static_cast<int>(groups_[g].size()); }

  // Afterwards groups_ has the survivors of the old groups that live on, in their old order, and pool_ everybody else,
  // ranks that hold something first.
  void keep_old_groups() {
    int num_old = 0;
    for (int rank : input_.ranks) num_old = std::max(num_old, input_.old_group[rank] + 1);
    std::vector<std::vector<int>> old(static_cast<std::size_t>(num_old));
    std::vector<std::int64_t> bytes(old.size());
    for (int rank : input_.ranks) {
      const int g = input_.old_group[rank];
      if (g < 0) continue;
      old[g].push_back(rank);
      bytes[g] += held(rank);
    }
    std::vector<int> order(old.size());
    std::iota(order.begin(), order.end(), 0);
    std::erase_if(order, [&](int g) { return old[g].empty(); });
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return bytes[a] > bytes[b]; });
    if (static_cast<int>(order.size()) > input_.num_groups) order.resize(static_cast<std::size_t>(input_.num_groups));
    std::sort(order.begin(), order.end());
    std::vector<bool> lives_on(old.size());
    for (int g : order) {
      lives_on[g] = true;
      groups_.push_back(old[g]);
    }
    groups_.resize(static_cast<std::size_t>(input_.num_groups));
    for (int rank : input_.ranks) {
      if (input_.old_group[rank] < 0 || !lives_on[input_.old_group[rank]]) pool_.push_back(rank);
    }
    std::stable_partition(pool_.begin(), pool_.end(), [&](int rank) { return held(rank) > 0; });
  }

  // Sizes differ by at most one; the groups with the most survivors get the larger ones.
  void set_sizes() {
    const int total = static_cast<int>(input_.ranks.size());
    sizes_.assign(groups_.size(), total / input_.num_groups);
    std::vector<int> order(groups_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return groups_[a].size() > groups_[b].size(); });
    for (int i = 0; i < total % input_.num_groups; ++i) ++sizes_[order[i]];
  }

  void release_or_fill() {
    std::size_t seats = 0;
    std::size_t movable = pool_.size();
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      if (room(g) > 0) seats += static_cast<std::size_t>(room(g));
      if (room(g) < 0) movable += groups_[g].size();
    }
    if (seats * movable <= kMostComparisons) fill_by_holdings();
    release_in_order();
    fill_in_order();
  }

  // Each seat goes to the rank that brings most of what the group lacks. What it takes away from a group of its own is
  // counted against it.
  void fill_by_holdings() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      if (room(g) <= 0) continue;
      Coverage coverage(shape_);
      for (int rank : groups_[g]) coverage.add((*input_.kept)[rank]);
      while (room(g) > 0) {
        // (gain, -held, -rank), from
        std::tuple<std::int64_t, std::int64_t, int> best{};
        std::vector<int>* from = nullptr;
        const auto consider = [&](std::vector<int>& source, bool leaves_a_group) {
          for (int rank : source) {
            const std::int64_t holds = held(rank);
            if (holds == 0) continue;
            const std::tuple candidate{coverage.lacks((*input_.kept)[rank]) - (leaves_a_group ? holds : 0), -holds,
                                       -rank};
            if (std::get<0>(candidate) < 0 || (!leaves_a_group && std::get<0>(candidate) == 0)) continue;
            if (from == nullptr || candidate > best) {
              best = candidate;
              from = &source;
            }
          }
        };
        consider(pool_, false);
        for (std::size_t other = 0; other < groups_.size(); ++other) {
          if (room(other) < 0) consider(groups_[other], true);
        }
        if (from == nullptr) break;
        const int rank = -std::get<2>(best);
        from->erase(std::find(from->begin(), from->end(), rank));
        groups_[g].push_back(rank);
        coverage.add((*input_.kept)[rank]);
      }
    }
  }

  void release_in_order() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      if (room(g) >= 0) continue;
      std::stable_sort(groups_[g].begin(), groups_[g].end(), [&](int a, int b) { return held(a) > held(b); });
      while (room(g) < 0) {
        pool_.push_back(groups_[g].back());
        groups_[g].pop_back();
      }
    }
  }

  void fill_in_order() {
    auto next = pool_.begin();
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      while (room(g) > 0) groups_[g].push_back(*next++);
    }
    CHECK(next == pool_.end(), "ranks without a seat");
  }

  const GroupingInput& input_;
  const StateShape& shape_;
  std::vector<std::vector<int>> groups_;
  std::vector<int> sizes_;
  std::vector<int> pool_;
};

}  // namespace

std::vector<std::vector<int>> form_groups(const GroupingInput& input, const StateShape& shape) {
  CHECK(input.num_groups >= 1 && input.num_groups <= static_cast<int>(input.ranks.size()), "groups", input.num_groups,
        "ranks", input.ranks.size());
  return Grouping(input, shape).run();
}

std::vector<ChainRange> cut_chains(const std::vector<int>& group_sizes, int num_chains, int num_microbatches) {
  const int num_groups = static_cast<int>(group_sizes.size());
  CHECK(num_groups >= 1 && num_groups <= num_chains, "groups", num_groups, "chains", num_chains);
  const std::int64_t per_chain = num_microbatches / num_chains;
  std::vector<int> chains(group_sizes.size(), 1);
  // The next chain goes to the group that would be done first with it: fewest waves, then fewest microbatches a rank.
  struct Next {
    std::int64_t waves;
    std::int64_t load;  // microbatches
    int size;
    int group;
    bool operator>(const Next& other) const {
      if (waves != other.waves) return waves > other.waves;
      if (load * other.size != other.load * size) return load * other.size > other.load * size;
      return group > other.group;
    }
  };
  const auto next_of = [&](int group) {
    const std::int64_t load = (chains[group] + 1) * per_chain;
    return Next{(load + group_sizes[group] - 1) / group_sizes[group], load, group_sizes[group], group};
  };
  std::priority_queue<Next, std::vector<Next>, std::greater<>> queue;
  for (int group = 0; group < num_groups; ++group) queue.push(next_of(group));
  for (int left = num_chains - num_groups; left > 0; --left) {
    const int group = queue.top().group;
    queue.pop();
    ++chains[group];
    queue.push(next_of(group));
  }
  std::vector<ChainRange> out;
  for (int group = 0, first = 0; group < num_groups; first += chains[group++])
    out.push_back({first, first + chains[group]});
  return out;
}

}  // namespace regroup::planning
