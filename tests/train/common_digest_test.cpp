#include "moe/regroup/common_digest.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

TEST(CommonDigest, is_what_most_members_have_and_of_equally_many_what_the_first_has) {
  EXPECT_EQ(common_digest({"a", "a"}), "a");
  EXPECT_EQ(common_digest({"b", "a", "a"}), "a");
  EXPECT_EQ(common_digest({"b", "a"}), "b");
  EXPECT_EQ(common_digest({"c", "b", "a", "a", "b"}), "b");
}

TEST(CommonDigest, is_nothing_only_where_nobody_has_anything) {
  EXPECT_EQ(common_digest({"", "a"}), "a");
  EXPECT_EQ(common_digest({"", "", "a"}), "a");
  EXPECT_EQ(common_digest({"a", "", ""}), "a");
  EXPECT_EQ(common_digest({"", "", "b", "a", "a"}), "a");
  EXPECT_EQ(common_digest({"", ""}), "");
}

}  // namespace
}  // namespace regroup
