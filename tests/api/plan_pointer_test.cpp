// plan/current: names one plan, by epoch and digest of its text.
#include "api/plan_pointer.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

TEST(PlanPointer, its_text_is_frozen) {
  EXPECT_EQ(to_json(pointer_to(Epoch(7), "a plan")), R"({"digest":"5133c8b23e8225fd","epoch":7})");
  EXPECT_EQ(*plan_pointer_from_json(R"({"digest":"00","epoch":7})"), (PlanPointer{Epoch(7), "00"}));
}

TEST(PlanPointer, a_plan_of_another_epoch_under_the_named_key_is_an_error) {
  Plan plan;
  plan.epoch = Epoch(2);
  const std::string text = to_json(plan);
  const auto read = current_plan(to_json(pointer_to(Epoch(1), text)), {{1, text}});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().context, "plan/1 holds the plan of epoch 2");
}

TEST(PlanPointer, a_whole_plan_as_older_builds_wrote_it_is_an_error_that_names_the_key) {
  const auto read = current_plan(to_json(Plan{}), {});
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().context.find("plan/current"), std::string::npos) << read.error().context;
}

}  // namespace
}  // namespace regroup
