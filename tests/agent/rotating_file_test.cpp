#include "agent/rotating_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace regroup::agent {
namespace {

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct RotatingFileTest : ::testing::Test {
  const std::string path = ::testing::TempDir() + "rotating.jsonl";
  void SetUp() override { TearDown(); }
  void TearDown() override {
    std::filesystem::remove(path);
    std::filesystem::remove(path + ".1");
  }
};

TEST_F(RotatingFileTest, what_would_become_too_large_is_put_aside_in_place_of_the_one_before) {
  RotatingFile file(path, 8);
  for (const char* line : {"one\n", "two\n", "three\n", "four\n"}) EXPECT_TRUE(file.append(line));
  EXPECT_EQ(text_of(path), "four\n");
  EXPECT_EQ(text_of(path + ".1"), "three\n");
}

TEST_F(RotatingFileTest, what_an_earlier_process_wrote_counts) {
  RotatingFile(path, 8).append("one\n");
  RotatingFile file(path, 8);
  EXPECT_TRUE(file.append("two\n"));
  EXPECT_EQ(text_of(path), "one\ntwo\n");
  EXPECT_TRUE(file.append("three\n"));
  EXPECT_EQ(text_of(path), "three\n");
}

TEST_F(RotatingFileTest, a_line_that_is_too_large_alone_is_written_all_the_same) {
  RotatingFile file(path, 2);
  EXPECT_TRUE(file.append("one\n"));
  EXPECT_EQ(text_of(path), "one\n");
  EXPECT_FALSE(std::filesystem::exists(path + ".1"));
}

TEST_F(RotatingFileTest, without_a_directory_nothing_is_written) {
  RotatingFile file(path + ".nowhere/file", 100);
  EXPECT_FALSE(file.append("one\n"));
}

}  // namespace
}  // namespace regroup::agent
