#include "layout/settle.hpp"

#include "layout/units.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace regroup {
namespace {

const IntervalSet kFirstHalf{{0, 128}};
const IntervalSet kSecondHalf{{128, 256}};
const IntervalSet kAll{{0, 256}};

Inventory inventory(int holder, StateKind kind, std::int64_t step, IntervalSet blocks) {
  return {holder, kind, Step(step), {{0, std::move(blocks)}}};
}

SettleInput input(std::vector<Inventory> inventories) {
  SettleInput in;
  in.num_units = 1;
  in.inventories = std::move(inventories);
  return in;
}

// The rule again, said naively: over halves of one unit, for every combination of what two holders have.
struct Expected {
  std::optional<StateSource> source;
  std::int64_t step = 0;
};

Expected naive(const SettleInput& in) {
  Expected best;
  std::int64_t best_step = -1;
  for (std::int64_t step = 0; step <= 3; ++step) {
    const bool recorded =
        std::find(in.vote_records.begin(), in.vote_records.end(), Step(step)) != in.vote_records.end();
    bool live[2] = {};
    bool any[2] = {};
    for (const Inventory& i : in.inventories) {
      if (i.step.value != step || (i.kind == StateKind::kPrepared && !recorded)) continue;
      for (int half = 0; half < 2; ++half) {
        if (!i.blocks[0].blocks.contains({half * 128, half * 128 + 128})) continue;
        any[half] = true;
        if (i.kind != StateKind::kSnapshot) live[half] = true;
      }
    }
    if (any[0] && any[1]) {
      best = {live[0] && live[1] ? StateSource::kLive : StateSource::kSnapshot, step};
      best_step = step;
    }
  }
  if (in.checkpoint && in.checkpoint->value > best_step) return {StateSource::kCheckpoint, in.checkpoint->value};
  if (best_step >= 0) return best;
  if (in.fresh_allowed) return {StateSource::kFresh, 0};
  return {std::nullopt, 0};
}

TEST(Settle, every_small_combination_follows_the_rule) {
  // Each of three inventories: absent, or one of three kinds at steps 0..3 with one of the halves.
  std::vector<std::optional<Inventory>> choices = {std::nullopt};
  for (StateKind kind : {StateKind::kLive, StateKind::kPrepared, StateKind::kSnapshot}) {
    for (int step = kind == StateKind::kPrepared ? 1 : 0; step <= 2; ++step) {
      for (const IntervalSet& half : {kFirstHalf, kSecondHalf}) choices.push_back(inventory(0, kind, step, half));
    }
  }
  int cases = 0;
  std::map<std::optional<StateSource>, int> seen;
  for (const auto& a : choices) {
    for (const auto& b : choices) {
      for (const auto& c : choices) {
        SettleInput in = input({});
        int holder = 0;
        for (const auto* choice : {&a, &b, &c}) {
          if (*choice) in.inventories.push_back(**choice), in.inventories.back().holder = holder;
          ++holder;
        }
        for (int record = 0; record <= 2; ++record) {
          in.vote_records.clear();
          if (record > 0) in.vote_records.push_back(Step(record));
          for (int checkpoint = -1; checkpoint <= 2; ++checkpoint) {
            in.checkpoint = checkpoint < 0 ? std::nullopt : std::optional(Step(checkpoint));
            for (const bool fresh : {false, true}) {
              in.fresh_allowed = fresh;
              const Expected expected = naive(in);
              const Settlement settled = settle(in);
              ASSERT_EQ(settled.source, expected.source) << settled.reason;
              ASSERT_EQ(settled.step.value, expected.step) << settled.reason;
              ASSERT_FALSE(settled.reason.empty());
              ++cases;
              ++seen[settled.source];
              if (settled.source != StateSource::kLive && settled.source != StateSource::kSnapshot) {
                ASSERT_TRUE(settled.usable.empty() && settled.roll_forward.empty());
                continue;
              }
              // What is usable is of that step and covers all; whoever is usable as prepared rolls forward, nobody
              // else.
              IntervalSet covered;
              std::vector<int> rolling;
              for (int i : settled.usable) {
                const Inventory& used = in.inventories[static_cast<std::size_t>(i)];
                ASSERT_EQ(used.step, settled.step);
                covered = covered.unite(used.blocks[0].blocks);
                if (used.kind == StateKind::kPrepared) rolling.push_back(used.holder);
                ASSERT_FALSE(settled.source == StateSource::kLive && used.kind == StateKind::kSnapshot);
              }
              ASSERT_EQ(covered, kAll);
              ASSERT_EQ(settled.roll_forward, rolling);
            }
          }
        }
      }
    }
  }
  EXPECT_GT(cases, 90000);
  EXPECT_EQ(seen.size(), 5u);
}

TEST(Settle, a_lone_newcomer_with_nothing_waits_unless_the_job_is_new) {
  SettleInput in = input({});
  EXPECT_EQ(settle(in).source, std::nullopt);
  in.fresh_allowed = true;
  EXPECT_EQ(settle(in).source, StateSource::kFresh);
}

TEST(Settle, initial_weights_are_a_source_only_where_allowed_and_never_win_over_a_complete_step) {
  SettleInput in = input({inventory(0, StateKind::kSnapshot, 5, kFirstHalf)});
  EXPECT_EQ(settle(in).source, std::nullopt);
  EXPECT_NE(settle(in).reason.find("step 5 lacks blocks [128, 256) of unit 0"), std::string::npos) << settle(in).reason;
  in.fresh_allowed = true;
  const Settlement settled = settle(in);
  EXPECT_EQ(settled.source, StateSource::kFresh);
  EXPECT_NE(settled.reason.find("step 5 lacks blocks [128, 256) of unit 0"), std::string::npos) << settled.reason;
  in.inventories.push_back(inventory(1, StateKind::kLive, 5, kSecondHalf));
  EXPECT_EQ(settle(in).source, StateSource::kSnapshot);
}

TEST(Settle, prepared_state_without_a_vote_record_does_not_count) {
  SettleInput in = input({inventory(0, StateKind::kLive, 4, kAll), inventory(0, StateKind::kPrepared, 5, kAll)});
  EXPECT_EQ(settle(in).step, Step(4));
  in.vote_records = {Step(5)};
  const Settlement settled = settle(in);
  EXPECT_EQ(settled.step, Step(5));
  EXPECT_EQ(settled.roll_forward, std::vector<int>{0});
}

TEST(Settle, sources_of_one_step_mix_but_steps_never_do) {
  SettleInput in =
      input({inventory(0, StateKind::kLive, 6, kFirstHalf), inventory(1, StateKind::kPrepared, 6, {{128, 200}}),
             inventory(2, StateKind::kSnapshot, 6, {{200, 256}}), inventory(3, StateKind::kLive, 5, kAll)});
  in.vote_records = {Step(6)};
  Settlement settled = settle(in);
  EXPECT_EQ(settled.source, StateSource::kSnapshot);
  EXPECT_EQ(settled.step, Step(6));
  EXPECT_EQ(settled.usable, (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(settled.roll_forward, std::vector<int>{1});
  in.inventories[2].step = Step(5);
  settled = settle(in);
  EXPECT_EQ(settled.source, StateSource::kLive);
  EXPECT_EQ(settled.step, Step(5));
  EXPECT_EQ(settled.usable, std::vector<int>{3});
}

TEST(Settle, every_unit_must_be_covered) {
  SettleInput in;
  in.num_units = 2;
  in.inventories = {{0, StateKind::kLive, Step(9), {{0, kAll}, {1, kFirstHalf}}},
                    {1, StateKind::kSnapshot, Step(8), {{0, kAll}, {1, kAll}}}};
  const Settlement settled = settle(in);
  EXPECT_EQ(settled.step, Step(8));
  EXPECT_EQ(settled.source, StateSource::kSnapshot);
  EXPECT_NE(settled.reason.find("step 9 lacks blocks [128, 256) of unit 1"), std::string::npos) << settled.reason;
}

// The plan's checkpoint turns out damaged: asked again with the next older one, or none.
TEST(Settle, behind_a_checkpoint_comes_the_newest_complete_step_in_memory_not_the_next_checkpoint) {
  SettleInput in = input({inventory(0, StateKind::kLive, 9, kFirstHalf), inventory(1, StateKind::kSnapshot, 6, kAll),
                          inventory(2, StateKind::kSnapshot, 5, kAll)});
  in.checkpoint = Step(7);
  EXPECT_EQ(settle(in).source, StateSource::kCheckpoint);
  for (const auto& older : {std::optional(Step(4)), std::optional<Step>()}) {
    in.checkpoint = older;
    const Settlement settled = settle(in);
    EXPECT_EQ(settled.source, StateSource::kSnapshot);
    EXPECT_EQ(settled.step, Step(6));
    EXPECT_EQ(settled.usable, std::vector<int>{1});
  }
}

}  // namespace
}  // namespace regroup
