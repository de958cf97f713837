#include "coordinator/planner/heavy_shares.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace regroup::planning {
namespace {

// Best number of wanted pairs over all choices with even loads, by trying them all.
int best_by_trying(int members, int per_layer, const std::vector<std::vector<int>>& wants, std::size_t layer,
                   std::vector<int>& load) {
  const int total = per_layer * static_cast<int>(wants.size());
  if (layer == wants.size()) {
    const auto [least, most] = std::minmax_element(load.begin(), load.end());
    return *least >= total / members && *most <= (total + members - 1) / members ? 0 : -1;
  }
  int best = -1;
  for (unsigned bits = 0; bits < 1u << members; ++bits) {
    if (__builtin_popcount(bits) != per_layer) continue;
    int here = 0;
    for (int m = 0; m < members; ++m) {
      if (!(bits >> m & 1)) continue;
      ++load[static_cast<std::size_t>(m)];
      here += std::binary_search(wants[layer].begin(), wants[layer].end(), m);
    }
    const int rest = best_by_trying(members, per_layer, wants, layer + 1, load);
    if (rest >= 0) best = std::max(best, here + rest);
    for (int m = 0; m < members; ++m) load[static_cast<std::size_t>(m)] -= static_cast<int>(bits >> m & 1);
  }
  return best;
}

TEST(HeavyShares, loads_are_even_and_wanted_pairs_are_within_half_a_percent_of_the_best) {
  std::mt19937 random(3);
  int wanted = 0;
  int best = 0;
  for (int round = 0; round < 1500; ++round) {
    const int members = 2 + static_cast<int>(random() % 4);
    const int per_layer = 1 + static_cast<int>(random() % (members - 1));
    std::vector<std::vector<int>> wants(1 + random() % 4);
    for (auto& layer : wants) {
      for (int m = 0; m < members; ++m) {
        if (random() % 2 == 0) layer.push_back(m);
      }
    }
    const auto heavy = choose_heavy(members, per_layer, wants);
    ASSERT_EQ(heavy.size(), wants.size());
    std::vector<int> load(static_cast<std::size_t>(members));
    for (std::size_t layer = 0; layer < heavy.size(); ++layer) {
      ASSERT_EQ(static_cast<int>(heavy[layer].size()), per_layer);
      ASSERT_TRUE(std::is_sorted(heavy[layer].begin(), heavy[layer].end()));
      ASSERT_EQ(std::adjacent_find(heavy[layer].begin(), heavy[layer].end()), heavy[layer].end());
      for (int m : heavy[layer]) {
        ++load[static_cast<std::size_t>(m)];
        wanted += std::binary_search(wants[layer].begin(), wants[layer].end(), m);
      }
    }
    const auto [least, most] = std::minmax_element(load.begin(), load.end());
    ASSERT_LE(*most - *least, 1) << "round " << round;
    std::vector<int> none(static_cast<std::size_t>(members));
    best += best_by_trying(members, per_layer, wants, 0, none);
  }
  EXPECT_LE(wanted, best);
  EXPECT_GE(wanted * 200, best * 199) << wanted << " of " << best;
}

}  // namespace
}  // namespace regroup::planning
