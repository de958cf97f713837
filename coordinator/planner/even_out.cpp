#include "coordinator/planner/even_out.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace regroup::planning {

std::string to_string(const RankLoad& load) {
  char text[80];
  std::snprintf(text, sizeof text, "heaviest rank %.2f -> %.2f x the mean", load.by_count, load.by_load);
  return text;
}

double most_uneven(const Placement& placement, const ModelShape& model, const std::vector<std::int64_t>& expert_load) {
  double most = 1;
  for (const Group& group : placement.groups) most = std::max(most, heaviest_over_mean(group, model, expert_load));
  return most;
}

namespace {

// Of the mean. Moving an expert is not worth while for less: neither when the heaviest member is as near to the mean,
// nor when it would become lighter by less.
constexpr double kEnough = 0.02;

// One layer of one group.
class Layer {
 public:
  Layer(const std::int64_t* load, int num_slots, int num_members, int* owner)
      : load_(load), owner_(owner), num_slots_(num_slots), total_(static_cast<std::size_t>(num_members)) {
    for (int slot = 0; slot < num_slots_; ++slot) total_[owner_[slot]] += load_[slot];
    mean_ = static_cast<double>(std::accumulate(total_.begin(), total_.end(), std::int64_t{0})) / num_members;
  }

  int run() {
    std::int64_t lowest = heaviest_load();
    std::size_t worth = 0;  // so many of the swaps shall stay
    while (heaviest_load() > (1 + kEnough) * mean_ && static_cast<int>(swaps_.size()) < num_slots_ && swap_heaviest()) {
      if (static_cast<double>(lowest - heaviest_load()) < kEnough * mean_) continue;
      lowest = heaviest_load();
      worth = swaps_.size();
    }
    for (; swaps_.size() > worth; swaps_.pop_back()) exchange(swaps_.back());
    return static_cast<int>(worth);
  }

 private:
  [[nodiscard]] int heaviest() const {
    return static_cast<int>(std::max_element(total_.begin(), total_.end()) - total_.begin());
  }
  [[nodiscard]] std::int64_t heaviest_load() const { return total_[heaviest()]; }

  void exchange(std::pair<int, int> slots) {
    const auto [a, b] = slots;
    total_[owner_[a]] += load_[b] - load_[a];
    total_[owner_[b]] += load_[a] - load_[b];
    std::swap(owner_[a], owner_[b]);
  }

  // False when every swap of the heaviest member would make another member as heavy.
  bool swap_heaviest() {
    const int from = heaviest();
    std::pair<int, int> best;
    std::int64_t best_load = total_[from];
    for (int mine = 0; mine < num_slots_; ++mine) {
      if (owner_[mine] != from) continue;
      for (int other = 0; other < num_slots_; ++other) {
        const std::int64_t less = load_[mine] - load_[other];
        if (less <= 0 || owner_[other] == from) continue;
        const std::int64_t load = std::max(total_[from] - less, total_[owner_[other]] + less);
        if (load < best_load) best_load = load, best = {mine, other};
      }
    }
    if (best_load == total_[from]) return false;
    exchange(best);
    swaps_.push_back(best);
    return true;
  }

  const std::int64_t* load_;
  int* owner_;
  int num_slots_;
  std::vector<std::int64_t> total_;  // [member]
  double mean_ = 0;
  std::vector<std::pair<int, int>> swaps_;
};

}  // namespace

std::vector<std::int64_t> slot_loads(const ModelShape& model, const std::vector<std::int64_t>& expert_load) {
  CHECK(static_cast<std::int64_t>(expert_load.size()) == model.num_hidden_layers * model.num_local_experts, "loads of",
        expert_load.size(), "experts");
  std::vector<std::int64_t> loads;
  for (std::int64_t layer = 0; layer < model.num_hidden_layers; ++layer) {
    if (!model.is_sparse(layer)) continue;
    for (std::int64_t expert = 0; expert < model.num_local_experts; ++expert) {
      loads.insert(loads.end(), static_cast<std::size_t>(model.expert_slices),
                   expert_load[static_cast<std::size_t>(layer * model.num_local_experts + expert)]);
    }
  }
  return loads;
}

int even_out(const StateShape& shape, const std::vector<std::int64_t>& slot_load, int num_members,
             std::vector<int>& expert_member) {
  CHECK(static_cast<int>(slot_load.size()) == shape.num_experts(), "loads of", slot_load.size(), "slots of",
        shape.num_experts());
  int swaps = 0;
  for (int layer = 0; layer < shape.num_layers; ++layer) {
    const auto first = static_cast<std::size_t>(layer) * static_cast<std::size_t>(shape.experts_per_layer);
    swaps += Layer(&slot_load[first], shape.experts_per_layer, num_members, &expert_member[first]).run();
  }
  return swaps;
}

std::optional<RankLoad> even_out_groups(const ModelShape& model, const StateShape& shape, const LoadRecord& load,
                                        double min_gain, Placement& placement) {
  if (load.load_before.size() != load.expert_load.size()) return std::nullopt;
  // Of groups with equal layouts one is evened out, and the others take its layout.
  const auto by_layout = [](const Group* a, const Group* b) {
    return std::forward_as_tuple(a->ranks.size(), a->expert_member) <
           std::forward_as_tuple(b->ranks.size(), b->expert_member);
  };
  std::map<const Group*, std::size_t, decltype(by_layout)> known;
  std::vector<std::size_t> like;  // [group] -> of `by_count`
  Placement by_count;
  for (const Group& group : placement.groups) {
    const auto [entry, is_new] = known.try_emplace(&group, by_count.groups.size());
    if (is_new) by_count.groups.push_back(group);
    like.push_back(entry->second);
  }
  const auto evened_out = [&](const std::vector<std::int64_t>& expert_load) {
    const std::vector<std::int64_t> loads = slot_loads(model, expert_load);
    Placement evened = by_count;
    for (Group& group : evened.groups)
      even_out(shape, loads, static_cast<int>(group.ranks.size()), group.expert_member);
    return evened;
  };
  RankLoad found;
  found.by_count = most_uneven(by_count, model, load.expert_load);
  found.lasting = most_uneven(evened_out(load.load_before), model, load.expert_load);
  if (found.by_count - found.lasting < min_gain) return std::nullopt;
  const Placement by_load = evened_out(load.expert_load);
  found.by_load = most_uneven(by_load, model, load.expert_load);
  for (std::size_t g = 0; g < like.size(); ++g)
    placement.groups[g].expert_member = by_load.groups[like[g]].expert_member;
  return found;
}

}  // namespace regroup::planning
