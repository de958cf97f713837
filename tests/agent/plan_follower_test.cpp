// The plan that holds, out of what a watch brings: its text and its name, together or apart.
#include "agent/plan_follower.hpp"

#include <gtest/gtest.h>

namespace regroup::agent {
namespace {

const Keys kKeys("c");

std::string text_of(std::uint64_t epoch) {
  Plan plan;
  plan.epoch = Epoch(epoch);
  plan.job = "job";
  return to_json(plan);
}
WatchEvent put(const std::string& key, const std::string& value) {
  return {WatchEvent::Kind::kPut, {key, value, 1, 1, 1, 0}};
}
WatchEvent text(std::uint64_t epoch) { return put(kKeys.plan("job", Epoch(epoch)), text_of(epoch)); }
WatchEvent name(std::uint64_t epoch) {
  return put(kKeys.current_plan("job"), to_json(pointer_to(Epoch(epoch), text_of(epoch))));
}
WatchUpdate update(std::vector<WatchEvent> events, bool reset = false) { return {reset, true, 1, std::move(events)}; }
Epoch epoch_of(const std::optional<Result<Plan>>& plan) { return plan && *plan ? (*plan)->epoch : Epoch(); }

TEST(PlanFollower, both_in_one_update_are_a_plan_in_whichever_order) {
  PlanFollower follower(kKeys);
  EXPECT_EQ(epoch_of(follower.take(update({text(1), name(1)}))), Epoch(1));
  EXPECT_EQ(epoch_of(follower.take(update({name(2), text(2)}))), Epoch(2));
}

TEST(PlanFollower, a_name_without_its_text_is_an_error_until_the_text_comes) {
  PlanFollower follower(kKeys);
  const auto alone = follower.take(update({text(1), name(2)}));
  ASSERT_TRUE(alone);
  ASSERT_FALSE(*alone);
  EXPECT_EQ(alone->error().context, "plan/current names epoch 2, and plan/2 is not there");
  EXPECT_EQ(epoch_of(follower.take(update({text(2)}))), Epoch(2));
}

TEST(PlanFollower, a_text_without_its_name_is_no_news_until_the_name_comes) {
  PlanFollower follower(kKeys);
  EXPECT_EQ(epoch_of(follower.take(update({text(1), name(1)}))), Epoch(1));
  EXPECT_FALSE(follower.take(update({text(2)})));
  EXPECT_EQ(epoch_of(follower.take(update({name(2)}))), Epoch(2));
}

TEST(PlanFollower, what_a_reset_brings_is_the_named_plan_and_not_the_newest_text) {
  PlanFollower follower(kKeys);
  EXPECT_EQ(epoch_of(follower.take(update({text(1), text(2), text(3), name(2)}, true))), Epoch(2));
}

TEST(PlanFollower, another_text_than_the_named_one_is_an_error) {
  PlanFollower follower(kKeys);
  const auto other = follower.take(update({put(kKeys.plan("job", Epoch(1)), text_of(1) + " "), name(1)}));
  ASSERT_TRUE(other);
  ASSERT_FALSE(*other);
  EXPECT_EQ(other->error().code, Code::kCorrupt);
}

TEST(PlanFollower, removed_keys_are_no_news) {
  PlanFollower follower(kKeys);
  (void)follower.take(update({text(1), name(1)}));
  EXPECT_FALSE(follower.take(update({{WatchEvent::Kind::kDelete, {kKeys.plan("job", Epoch(1)), "", 0, 2, 0, 0}}})));
  EXPECT_FALSE(follower.take(update({{WatchEvent::Kind::kDelete, {kKeys.current_plan("job"), "", 0, 3, 0, 0}}})));
}

}  // namespace
}  // namespace regroup::agent
