#include "layout/route.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace regroup {
namespace {

int same_distance(int, int) { return 1; }

IntervalSet random_blocks(std::mt19937& random, int blocks) {
  IntervalSet out;
  for (int b = 0; b < blocks; ++b) {
    if (random() % 2 == 0) out.add({b, b + 1});
  }
  return out;
}

// After the route, every wanter has what it wanted except what nobody held; nothing comes twice, from itself, or from
// one that lacks it.
void expect_right(const std::vector<Holding>& held, const std::vector<Holding>& wanted, const RouteResult& result) {
  const auto has = [&](int holder, int unit) {
    IntervalSet out;
    for (const Holding& h : held) {
      if (h.holder == holder && h.unit == unit) out = out.unite(h.blocks);
    }
    return out;
  };
  std::map<std::pair<int, int>, IntervalSet> arrives;
  for (const Piece& piece : result.pieces) {
    ASSERT_NE(piece.from, piece.to);
    ASSERT_TRUE(has(piece.from, piece.unit).contains(piece.blocks));
    IntervalSet& blocks = arrives[{piece.to, piece.unit}];
    ASSERT_TRUE(blocks.intersect({piece.blocks}).empty()) << "moved twice";
    blocks.add(piece.blocks);
  }
  ASSERT_TRUE(std::is_sorted(result.pieces.begin(), result.pieces.end(), [](const Piece& a, const Piece& b) {
    return std::tie(a.to, a.unit, a.blocks.lo) < std::tie(b.to, b.unit, b.blocks.lo);
  }));
  std::map<std::pair<int, int>, IntervalSet> missing;
  for (const Holding& m : result.missing) missing[{m.holder, m.unit}] = m.blocks;
  std::map<std::pair<int, int>, IntervalSet> wants;
  for (const Holding& w : wanted) wants[{w.holder, w.unit}] = wants[{w.holder, w.unit}].unite(w.blocks);
  for (const auto& [key, blocks] : wants) {
    IntervalSet everybody;
    for (const Holding& h : held) {
      if (h.unit == key.second) everybody = everybody.unite(h.blocks);
    }
    const IntervalSet needed = blocks.subtract(has(key.first, key.second));
    ASSERT_EQ(arrives[key], needed.intersect(everybody));
    ASSERT_EQ(missing[key], needed.subtract(everybody));
    arrives.erase(key);
    missing.erase(key);
  }
  ASSERT_TRUE(arrives.empty() ||
              std::all_of(arrives.begin(), arrives.end(), [](const auto& a) { return a.second.empty(); }));
  ASSERT_TRUE(missing.empty() ||
              std::all_of(missing.begin(), missing.end(), [](const auto& a) { return a.second.empty(); }));
}

TEST(Route, random_holdings_move_every_missing_block_once) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::vector<Holding> held;
    std::vector<Holding> wanted;
    const int holders = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < static_cast<int>(random() % 8); ++i) {
      held.push_back({static_cast<int>(random() % holders), static_cast<int>(random() % 2), random_blocks(random, 8)});
    }
    for (int i = 0; i < static_cast<int>(random() % 8); ++i) {
      wanted.push_back(
          {static_cast<int>(random() % (holders + 1)), static_cast<int>(random() % 2), random_blocks(random, 8)});
    }
    const RouteResult result = route(held, wanted, {100, 7}, same_distance);
    expect_right(held, wanted, result);
    if (::testing::Test::HasFatalFailure()) FAIL() << "round " << round;
    // Equal inputs in another order give the same route.
    std::shuffle(held.begin(), held.end(), random);
    std::shuffle(wanted.begin(), wanted.end(), random);
    const RouteResult again = route(held, wanted, {100, 7}, same_distance);
    ASSERT_EQ(again.pieces, result.pieces);
    ASSERT_EQ(again.missing, result.missing);
  }
}

TEST(Route, the_nearest_holder_sends_even_when_it_sends_much) {
  const std::vector<Holding> held = {{0, 0, {{0, 256}}}, {0, 1, {{0, 256}}}, {1, 0, {{0, 256}}}, {1, 1, {{0, 256}}}};
  const std::vector<Holding> wanted = {{2, 0, {{0, 256}}}, {2, 1, {{0, 256}}}};
  const auto result = route(held, wanted, {64, 64}, [](int from, int) { return from == 1 ? 0 : 1; });
  ASSERT_EQ(result.pieces.size(), 2u);
  for (const Piece& piece : result.pieces) EXPECT_EQ(piece.from, 1);
}

TEST(Route, equally_near_holders_share_the_sending) {
  // A newcomer wants 40 units of two sizes that three replicas hold.
  std::vector<Holding> held;
  std::vector<Holding> wanted;
  std::vector<std::int64_t> block_bytes;
  std::int64_t total = 0;
  for (int unit = 0; unit < 40; ++unit) {
    for (int holder = 0; holder < 3; ++holder) held.push_back({holder, unit, {{0, 256}}});
    wanted.push_back({3, unit, {{0, 256}}});
    block_bytes.push_back(unit % 2 == 0 ? 64 : 192);
    total += 256 * block_bytes.back();
  }
  std::map<int, std::int64_t> sent;
  for (const Piece& piece : route(held, wanted, block_bytes, same_distance).pieces)
    sent[piece.from] += piece.blocks.size() * block_bytes[static_cast<std::size_t>(piece.unit)];
  ASSERT_EQ(sent.size(), 3u);
  for (const auto& [from, bytes] : sent) EXPECT_LE(bytes, total / 3 + 256 * 192) << "sender " << from;
}

TEST(Route, what_a_wanter_holds_itself_stays) {
  const auto result = route({{0, 0, {{0, 100}}}, {1, 0, {{50, 256}}}}, {{0, 0, {{0, 120}}}}, {64}, same_distance);
  EXPECT_EQ(result.pieces, (std::vector<Piece>{{0, {100, 120}, 1, 0}}));
  EXPECT_TRUE(result.missing.empty());
}

}  // namespace
}  // namespace regroup
