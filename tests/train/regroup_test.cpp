#include "tests/train/regrouping.hpp"

namespace regroup::testing {
namespace {

TEST_F(Regrouping, a_new_layout_gets_its_blocks_from_those_who_hold_them) {
  start();
  try_next({2, 1});
  EXPECT_EQ(members_[0].attempt->settlement.source, StateSource::kLive);
  EXPECT_GT(members_[2].attempt->bytes_received, 0) << "it alone is a group now, and lacked two thirds";
  adopt();
  expect_all(1);
}

TEST_F(Regrouping, owners_of_a_prepared_step_roll_it_forward_when_one_member_has_its_votes) {
  start();
  members_[0].prepared = members_[1].prepared = Step(2);
  members_[2].commit(2);
  try_next({2, 1});
  for (const Member& member : members_) {
    EXPECT_EQ(member.attempt->settlement.step, Step(2));
    EXPECT_EQ(member.rolled_forward, &member == &members_[2] ? 0 : 1);
  }
  adopt();
  expect_all(2);
}

TEST_F(Regrouping, a_prepared_step_whose_votes_nobody_has_never_happened) {
  start();
  for (Member& member : members_) member.prepared = Step(2);
  try_next({1, 2});
  for (const Member& member : members_) EXPECT_EQ(member.rolled_forward, 0);
  adopt();
  expect_all(1);
}

TEST_F(Regrouping, an_interrupted_attempt_leaves_the_old_shards_and_the_next_one_goes_on_from_them) {
  start();
  members_[0].prepared = members_[1].prepared = Step(2);
  members_[2].commit(2);
  interrupt_after_roll_forward_ = true;
  std::vector<std::map<ShardStore::Key, ShardPtr>> before;
  for (const Member& member : members_) before.push_back(member.state.store.all());
  try_next({2, 1});
  for (std::size_t i = 0; i < members_.size(); ++i) {
    ASSERT_TRUE(members_[i].interrupted);
    EXPECT_EQ(members_[i].interrupted->code, Code::kNewerEpoch);
    EXPECT_EQ(members_[i].state.store.all(), before[i]) << "shards of member " << i;
    expect_step(members_[i], members_[i].prepared ? 1 : 2);
  }
  interrupt_after_roll_forward_ = false;
  try_next({1, 2});
  adopt();
  expect_all(2);
  EXPECT_EQ(members_[0].rolled_forward, 1) << "once, however many attempts there were";
  EXPECT_EQ(members_[1].rolled_forward, 1);
}

TEST_F(Regrouping, without_a_source_for_some_block_all_wait_for_another_plan) {
  start();
  members_[1].state = {};  // as a death leaves it
  try_next({3});
  for (const Member& member : members_) {
    ASSERT_TRUE(member.interrupted);
    EXPECT_EQ(member.interrupted->code, Code::kUnavailable);
  }
  expect_step(members_[0], 1);
  expect_step(members_[2], 1);
}

TEST_F(Regrouping, what_gave_the_same_fault_twice_is_left_out_and_not_compared_either) {
  start();
  faults_ = 1;
  try_next({3});
  adopt();
  expect_all(1);
  members_[1].state.record->loss_sum += 1;
  for (const auto& [faults, sentence] : {std::pair(1, "with different sums"), std::pair(2, "there is no other")}) {
    faults_ = faults;
    try_next({3});
    for (const Member& member : members_) {
      ASSERT_TRUE(member.interrupted);
      EXPECT_EQ(member.interrupted->code, Code::kInternal);
      EXPECT_NE(member.interrupted->context.find(sentence), std::string::npos) << member.interrupted->context;
    }
  }
}

}  // namespace
}  // namespace regroup::testing
