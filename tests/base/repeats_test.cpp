#include "base/repeats.hpp"

#include "base/log.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace regroup {
namespace {

Instant at(int seconds) { return Instant{} + std::chrono::seconds(seconds); }

TEST(Repeats, a_line_is_written_at_once_and_then_every_ten_seconds_with_how_often_it_came) {
  Repeats repeats;
  EXPECT_EQ(repeats.times("a", at(0)), 1U);
  EXPECT_EQ(repeats.times("a", at(1)), std::nullopt);
  EXPECT_EQ(repeats.times("b", at(1)), 1U);
  EXPECT_EQ(repeats.times("a", at(9)), std::nullopt);
  EXPECT_EQ(repeats.times("a", at(10)), 3U);
  EXPECT_EQ(repeats.times("a", at(11)), std::nullopt);
  EXPECT_EQ(repeats.times("a", at(60)), 2U);
}

TEST(Repeats, what_does_not_come_again_is_forgotten) {
  Repeats repeats;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(repeats.times(std::to_string(i), at(i)), 1U);
  EXPECT_EQ(repeats.times("0", at(1000)), 1U);
}

TEST(Log, a_line_that_may_come_often_is_written_once_and_another_one_for_itself) {
  const std::string path = ::testing::TempDir() + "often.log";
  std::remove(path.c_str());
  log::start("test", log::Level::kInfo, path);
  for (int i = 0; i < 100; ++i) log::warn_often("cut", {{"reason", "no leader"}});
  log::warn_often("cut", {{"reason", "another"}});
  log::start("test");
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_NE(lines[0].find("event=cut reason=\"no leader\""), std::string::npos) << lines[0];
  std::remove(path.c_str());
}

}  // namespace
}  // namespace regroup
