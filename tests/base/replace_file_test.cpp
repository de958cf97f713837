#include "base/replace_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace regroup {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ReplaceFile, the_new_one_is_there_as_a_whole_or_the_old_one_stays) {
  const std::string path = testing::TempDir() + "replaced-file";
  ASSERT_TRUE(replace_file(path, "a long first text\n"));
  ASSERT_TRUE(replace_file(path, "a second\n"));
  EXPECT_EQ(content_of(path), "a second\n");
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
  std::filesystem::create_directory(path + ".tmp");  // what is written first cannot be opened
  const auto failed = replace_file(path, "a third\n");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_NE(failed.error().context.find(path), std::string::npos);
  EXPECT_EQ(content_of(path), "a second\n");
  std::filesystem::remove_all(path + ".tmp");
  std::filesystem::remove(path);
}

TEST(ReplaceFile, a_failure_is_named_and_leaves_nothing_behind) {
  const std::string path = testing::TempDir() + "not-replaced", unfinished = path + ".tmp";
  std::filesystem::create_directory(path);  // which no file replaces
  EXPECT_EQ(replace_file(path, "text").error().context, "cannot write " + path + ": Is a directory");
  EXPECT_FALSE(std::filesystem::exists(unfinished));
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/dev/full", unfinished);
  EXPECT_EQ(replace_file(path, "text").error().context, "cannot write " + path + ": No space left on device");
  EXPECT_FALSE(std::filesystem::is_symlink(unfinished));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace regroup
