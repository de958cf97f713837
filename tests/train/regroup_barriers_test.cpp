// A member ends, or is cut off, between two messages of the barriers that end a regroup.
#include "tests/train/regrouping.hpp"

#include <random>

namespace regroup::testing {
namespace {

struct Ending {
  std::string name;
  std::int64_t barrier;
  std::vector<int> groups, donors;  // of the plan in whose barrier the last member dies
  std::vector<int> then;            // groups of the others
};

class Barriers : public Regrouping, public ::testing::WithParamInterface<Ending> {};

TEST_P(Barriers, who_dies_between_two_of_its_messages_takes_no_state_with_it) {
  const Ending& ending = GetParam();
  start();
  members_[2].mesh->die_before(TransferOp::kLeave, ending.barrier, 1);  // the first of the others hears of it
  try_next(ending.groups, ending.donors);
  EXPECT_EQ(members_[2].mesh, nullptr);
  EXPECT_TRUE(members_[1].interrupted);
  EXPECT_EQ(members_[0].interrupted.has_value(), ending.barrier == 0) << "it heard all of the last barrier";
  if (!members_[0].interrupted) adopt(members_[0]);
  try_next(ending.then);
  for (const int survivor : {0, 1}) {
    Member& member = members_[static_cast<std::size_t>(survivor)];
    ASSERT_FALSE(member.interrupted) << to_string(*member.interrupted);
    EXPECT_EQ(member.attempt->settlement.source, StateSource::kLive);
    adopt(member);
    expect_whole(member, 1);
    EXPECT_TRUE(member.state.moved.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(, Barriers,
                         ::testing::Values(Ending{"a_donor_in_the_first", 0, {2}, {2}, {2}},
                                           Ending{"a_donor_in_the_second", 1, {2}, {2}, {2}},
                                           Ending{"a_donor_in_the_first_then_two_groups", 0, {2}, {2}, {1, 1}},
                                           Ending{"a_donor_in_the_second_then_two_groups", 1, {2}, {2}, {1, 1}},
                                           Ending{"a_whole_group_in_the_first", 0, {2, 1}, {}, {2}},
                                           Ending{
                                               "a_whole_group_in_the_second_then_two_groups", 1, {2, 1}, {}, {1, 1}}),
                         [](const auto& ending) { return ending.param.name; });

TEST_F(Regrouping, what_an_interrupted_attempt_moved_need_not_move_again) {
  start();
  shift_ = 0;
  members_[2].mesh->die_before(TransferOp::kLeave, 0, 1);
  try_next({2}, {2});
  try_next({2});
  for (const int survivor : {0, 1}) {
    Member& member = members_[static_cast<std::size_t>(survivor)];
    ASSERT_FALSE(member.interrupted) << to_string(*member.interrupted);
    EXPECT_EQ(member.attempt->bytes_received, 0);
    adopt(member);
    expect_whole(member, 1);
  }
}

TEST_F(Regrouping, what_moved_is_not_mixed_with_a_step_that_is_rolled_forward_after_it) {
  start();
  try_next({2, 1});
  adopt();
  for (Member& member : members_) member.commit(2);
  members_[0].prepared = members_[1].prepared = Step(3);
  members_[2].commit(3);
  members_[0].mesh->before(TransferOp::kLeave, 0, 0, [this] { announce(epoch_ + 1); });
  try_next({2});  // without the one that knows the votes
  for (const int survivor : {0, 1}) {
    ASSERT_TRUE(members_[static_cast<std::size_t>(survivor)].interrupted);
    expect_step(members_[static_cast<std::size_t>(survivor)], 2);
  }
  try_next({2, 1});
  adopt();
  expect_all(3);
}

TEST_F(Regrouping, wherever_attempts_are_interrupted_the_live_state_stays) {
  start();
  struct Layout {
    std::vector<int> groups, donors;
  };
  const std::vector<Layout> layouts{{{3}, {}}, {{2, 1}, {}}, {{1, 1, 1}, {}}, {{2}, {2}}, {{1, 1}, {2}}, {{1}, {1, 2}}};
  std::mt19937 random(5);
  const auto draw = [&random](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  int interrupted = 0, passed = 0;
  for (int attempt = 0; attempt < 40; ++attempt) {
    const TransferOp op =
        std::vector{TransferOp::kLeave, TransferOp::kLeave, TransferOp::kMove, TransferOp::kMoveHashes}.at(
            static_cast<std::size_t>(draw(4)));
    const int index = op == TransferOp::kLeave ? draw(2) : op == TransferOp::kMove ? 3 * draw(4) : 0;
    WatchedMesh& watched = *members_[static_cast<std::size_t>(draw(3))].mesh;
    watched.before(op, index, op == TransferOp::kMove ? 0 : draw(2), [this] { announce(epoch_ + 1); });
    const Layout& layout = layouts.at(static_cast<std::size_t>(draw(static_cast<int>(layouts.size()))));
    try_next(layout.groups, layout.donors);
    watched.before(TransferOp::kAgree, 1, 0, [] {});
    for (Member& member : members_) {
      if (member.interrupted) {
        ++interrupted;
        ASSERT_EQ(member.interrupted->code, Code::kNewerEpoch) << to_string(*member.interrupted);
        continue;
      }
      ++passed;
      ASSERT_EQ(member.attempt->settlement.source, StateSource::kLive);
      ASSERT_EQ(member.attempt->settlement.step, Step(1));
      adopt(member);
      if (member.state.live) expect_whole(member, 1);
    }
  }
  EXPECT_GT(interrupted, 20);
  EXPECT_GT(passed, 20);
}

}  // namespace
}  // namespace regroup::testing
