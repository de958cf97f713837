#include "cli/local/wakeup.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

namespace regroup::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace fs = std::filesystem;

constexpr milliseconds kNever{60'000};  // a wait that ends only by its time fails the test by its length

// Whether a wait ends by something else than its time.
bool something_happens(Wakeup& wakeup) {
  const auto before = steady_clock::now();
  wakeup.wait(kNever);
  return steady_clock::now() - before < kNever;
}

struct Scratch {
  std::string path = (fs::temp_directory_path() / ("wakeup-test-" + std::to_string(::getpid()))).string();
  Scratch() { fs::create_directories(path); }
  ~Scratch() { fs::remove_all(path); }
};

TEST(Wakeup, ends_by_time_when_nothing_happens) {
  Wakeup wakeup;
  const auto before = steady_clock::now();
  wakeup.wait(milliseconds(20));
  EXPECT_GE(steady_clock::now() - before, milliseconds(20));
}

TEST(Wakeup, comes_once_for_what_happened_before_the_wait) {
  Wakeup wakeup;
  wakeup.wake();
  wakeup.wake();
  EXPECT_TRUE(something_happens(wakeup));
  const auto before = steady_clock::now();
  wakeup.wait(milliseconds(20));
  EXPECT_GE(steady_clock::now() - before, milliseconds(20));
}

TEST(Wakeup, hears_another_thread_while_it_waits) {
  Wakeup wakeup;
  std::thread other([&] { wakeup.wake(); });
  EXPECT_TRUE(something_happens(wakeup));
  other.join();
}

TEST(Wakeup, hears_of_a_file_that_is_made_and_of_one_that_grows) {
  const Scratch scratch;
  Wakeup wakeup;
  wakeup.watch_directory(scratch.path);
  std::ofstream file(scratch.path + "/journal");
  EXPECT_TRUE(something_happens(wakeup));
  file << "line" << std::endl;
  EXPECT_TRUE(something_happens(wakeup));
}

TEST(Wakeup, hears_of_a_child_that_ended_and_gives_the_signal_back) {
  {
    Wakeup wakeup;
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    EXPECT_TRUE(something_happens(wakeup));
    ::waitpid(pid, nullptr, 0);
  }
  struct sigaction now {};
  ::sigaction(SIGCHLD, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

}  // namespace
}  // namespace regroup::cli
