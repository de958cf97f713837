#include "coordinator/planner/even_out.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace regroup::planning {
namespace {

using Loads = std::vector<std::int64_t>;

StateShape shape_of(int layers, int experts) {
  StateShape shape;
  shape.num_layers = layers;
  shape.experts_per_layer = experts;
  return shape;
}

struct Layout {
  int members = 1;
  std::vector<int> expert_member;  // [slot]
};

// Even by count: the first experts to the first member, and so on.
Layout by_count(const StateShape& shape, int members) {
  Layout layout{members, {}};
  for (int slot = 0; slot < shape.num_experts(); ++slot)
    layout.expert_member.push_back(slot % shape.experts_per_layer * members / shape.experts_per_layer);
  return layout;
}

int even_out(const StateShape& shape, const Loads& loads, Layout& layout) {
  return planning::even_out(shape, loads, layout.members, layout.expert_member);
}

// As a router gives them: some experts get many times what others do.
Loads random_loads(const StateShape& shape, std::mt19937& random) {
  Loads loads;
  for (int slot = 0; slot < shape.num_experts(); ++slot)
    loads.push_back(static_cast<std::int64_t>(100 * std::exp2(std::normal_distribution<double>(0, 1)(random)) + 1));
  return loads;
}

Loads member_loads(const StateShape& shape, const Loads& loads, const Layout& layout, int layer) {
  Loads out(static_cast<std::size_t>(layout.members));
  for (int e = 0; e < shape.experts_per_layer; ++e) {
    const auto slot = static_cast<std::size_t>(layer * shape.experts_per_layer + e);
    out[static_cast<std::size_t>(layout.expert_member[slot])] += loads[slot];
  }
  return out;
}

std::int64_t heaviest(const StateShape& shape, const Loads& loads, const Layout& layout, int layer) {
  const Loads members = member_loads(shape, loads, layout, layer);
  return *std::max_element(members.begin(), members.end());
}

double mean(const StateShape& shape, const Loads& loads, const Layout& layout, int layer) {
  const Loads members = member_loads(shape, loads, layout, layer);
  return static_cast<double>(std::accumulate(members.begin(), members.end(), std::int64_t{0})) /
         static_cast<double>(members.size());
}

std::vector<int> counts(const StateShape& shape, const Layout& layout, int layer) {
  std::vector<int> out(static_cast<std::size_t>(layout.members));
  for (int e = 0; e < shape.experts_per_layer; ++e)
    ++out[static_cast<std::size_t>(
        layout.expert_member[static_cast<std::size_t>(layer * shape.experts_per_layer + e)])];
  return out;
}

TEST(EvenOut, no_layer_gets_worse_and_every_member_keeps_as_many) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const int experts = 1 + static_cast<int>(random() % 24);
    const StateShape shape = shape_of(1 + static_cast<int>(random() % 5), experts);
    const Layout before = by_count(shape, 1 + static_cast<int>(random() % 9));
    const Loads loads = random_loads(shape, random);
    Layout after = before;
    const int swaps = even_out(shape, loads, after);
    EXPECT_EQ(swaps == 0, after.expert_member == before.expert_member);
    for (int layer = 0; layer < shape.num_layers; ++layer) {
      EXPECT_LE(heaviest(shape, loads, after, layer), heaviest(shape, loads, before, layer)) << "round " << round;
      EXPECT_EQ(counts(shape, after, layer), counts(shape, before, layer)) << "round " << round;
    }
    Layout again = before;
    even_out(shape, loads, again);
    EXPECT_EQ(again.expert_member, after.expert_member);
    EXPECT_EQ(even_out(shape, loads, again), 0) << "what is evened out stays where it is";
  }
}

// The lightest heaviest member among all ways to give four of eight experts to each of two.
std::int64_t optimum(const Loads& loads) {
  const std::int64_t all = std::accumulate(loads.begin(), loads.end(), std::int64_t{0});
  std::int64_t best = all;
  for (unsigned chosen = 0; chosen < 256; ++chosen) {
    if (__builtin_popcount(chosen) != 4) continue;
    std::int64_t sum = 0;
    for (int e = 0; e < 8; ++e) sum += (chosen >> e & 1) != 0 ? loads[static_cast<std::size_t>(e)] : 0;
    best = std::min(best, std::max(sum, all - sum));
  }
  return best;
}

TEST(EvenOut, eight_experts_on_two_members_come_close_to_the_best_there_is) {
  std::mt19937 random(2);
  const StateShape shape = shape_of(1, 8);
  double over_in_all = 0;
  double worst = 0;
  for (int round = 0; round < 1000; ++round) {
    const Loads loads = random_loads(shape, random);
    Layout layout = by_count(shape, 2);
    even_out(shape, loads, layout);
    const double over =
        static_cast<double>(heaviest(shape, loads, layout, 0) - optimum(loads)) / mean(shape, loads, layout, 0);
    over_in_all += over;
    worst = std::max(worst, over);
  }
  printf("over the optimum, of the mean: %.4f on average, %.4f at worst\n", over_in_all / 1000, worst);
  EXPECT_LE(over_in_all / 1000, 0.02);
  EXPECT_LE(worst, 0.1);
}

TEST(EvenOut, what_is_nearly_even_is_left_alone) {
  std::mt19937 random(3);
  const StateShape shape = shape_of(4, 16);
  Loads loads;
  for (int slot = 0; slot < shape.num_experts(); ++slot)
    loads.push_back(1000 + static_cast<std::int64_t>(random() % 20));
  Layout layout = by_count(shape, 4);
  EXPECT_EQ(even_out(shape, loads, layout), 0);
}

TEST(EvenOut, one_heavy_pair_takes_one_swap) {
  const StateShape shape = shape_of(1, 8);
  const Loads loads = {900, 900, 100, 100, 100, 100, 100, 100};  // both popular ones on the first member
  Layout layout = by_count(shape, 2);
  EXPECT_EQ(even_out(shape, loads, layout), 1);
  EXPECT_EQ(member_loads(shape, loads, layout, 0), (Loads{1200, 1200}));
}

TEST(EvenOut, nobody_was_given_a_token_yet) {
  const StateShape shape = shape_of(2, 8);
  Layout layout = by_count(shape, 3);
  EXPECT_EQ(even_out(shape, Loads(16), layout), 0);
}

TEST(EvenOut, fifty_eight_layers_of_256_experts_are_soon_even) {
  std::mt19937 random(4);
  const StateShape shape = shape_of(58, 256);
  const Loads loads = random_loads(shape, random);
  for (int members : {2, 16, 64, 256}) {
    const Layout before = by_count(shape, members);
    Layout after = before;
    const int swaps = even_out(shape, loads, after);
    double ratio_before = 0, ratio_after = 0;
    for (int layer = 0; layer < shape.num_layers; ++layer) {
      ratio_before += static_cast<double>(heaviest(shape, loads, before, layer)) / mean(shape, loads, before, layer) /
                      shape.num_layers;
      ratio_after += static_cast<double>(heaviest(shape, loads, after, layer)) / mean(shape, loads, after, layer) /
                     shape.num_layers;
    }
    printf("%3d members: heaviest %.3f -> %.3f x the mean, %d swaps\n", members, ratio_before, ratio_after, swaps);
    EXPECT_LE(swaps, shape.num_experts());
    EXPECT_LE(ratio_after, ratio_before);
    if (members <= 16) {
      EXPECT_LE(ratio_after, 1.05);
    }
  }
}

TEST(EvenOut, slots_follow_the_layers_with_experts_and_the_slices) {
  ModelShape model;
  model.num_hidden_layers = 3;
  model.num_local_experts = 2;
  model.dense_layers = {1};
  model.expert_slices = 2;
  EXPECT_EQ(slot_loads(model, {1, 2, 0, 0, 5, 6}), (Loads{1, 1, 2, 2, 5, 5, 6, 6}));
}

}  // namespace
}  // namespace regroup::planning
