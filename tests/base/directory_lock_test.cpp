#include "base/directory_lock.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace regroup {
namespace {

class DirectoryLockTest : public ::testing::Test {
 protected:
  DirectoryLockTest() {
    char name[] = "/tmp/directory_lock_test_XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  ~DirectoryLockTest() override { std::filesystem::remove_all(dir_); }
  static Result<DirectoryLock> take(const std::string& dir) {
    return DirectoryLock::take(dir, "a run is going on", "give another --dir");
  }
  std::string dir_;
};

TEST_F(DirectoryLockTest, who_comes_second_is_told_at_once_who_was_first) {
  const auto first = take(dir_ + "/new/one");
  ASSERT_TRUE(first);
  const auto second = take(dir_ + "/new/one");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  EXPECT_EQ(second.error().context,
            "a run is going on in " + dir_ + "/new/one (pid " + std::to_string(::getpid()) + "); give another --dir");
}

TEST_F(DirectoryLockTest, another_machines_holder_is_named_with_its_host) {
  const auto first = take(dir_);
  ASSERT_TRUE(first);
  std::ofstream(dir_ + "/lock") << "12 elsewhere\nan agent runs\n";
  EXPECT_EQ(take(dir_).error().context, "an agent runs in " + dir_ + " (pid 12 on elsewhere); give another --dir");
  std::ofstream(dir_ + "/lock") << "what is this";
  EXPECT_EQ(take(dir_).error().context,
            "something goes on in " + dir_ + " (it has not said its pid); give another --dir");
}

TEST_F(DirectoryLockTest, the_next_holder_finds_the_word_of_the_one_before) {
  std::string first;
  {
    const auto lock = take(dir_);
    ASSERT_TRUE(lock);
    EXPECT_EQ(lock->word_before(), "");
    EXPECT_EQ(lock->word().size(), 16U);
    first = lock->word();
  }
  const auto second = take(dir_);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->word_before(), first);
  EXPECT_NE(second->word(), first);
}

TEST_F(DirectoryLockTest, it_ends_with_its_holder_and_what_it_left_in_the_file_does_not_count) {
  { ASSERT_TRUE(take(dir_)); }
  EXPECT_TRUE(take(dir_));
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = take(dir_);
    (void)!::write(ready[1], held ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char held = 0;
  ASSERT_EQ(::read(ready[0], &held, 1), 1);
  EXPECT_EQ(held, 'y');
  EXPECT_FALSE(take(dir_));
  ::kill(child, SIGKILL);
  EXPECT_TRUE(take(dir_));  // also while the kernel needs a moment
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(DirectoryLockTest, a_directory_that_cannot_be_made_is_refused_with_the_reason) {
  std::ofstream(dir_ + "/file") << "x";
  const auto taken = take(dir_ + "/file/below");
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::kBadInput);
  EXPECT_NE(taken.error().context.find("Not a directory"), std::string::npos) << taken.error().context;
}

}  // namespace
}  // namespace regroup
