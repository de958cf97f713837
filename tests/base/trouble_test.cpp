#include "base/trouble.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

TEST(Trouble, the_first_is_news_and_so_is_another_one_ten_seconds_later_and_what_comes_after_an_end) {
  Trouble trouble;
  const auto at = [](int seconds) { return Instant(std::chrono::seconds(100 + seconds)); };
  EXPECT_TRUE(trouble.is_news("a", at(0)));
  EXPECT_FALSE(trouble.is_news("a", at(60)));
  EXPECT_TRUE(trouble.is_news("b", at(61)));
  EXPECT_FALSE(trouble.is_news("a", at(70)));
  EXPECT_TRUE(trouble.is_news("a", at(71)));
  trouble.is_over();
  EXPECT_TRUE(trouble.is_news("a", at(72)));
}

}  // namespace
}  // namespace regroup
