#include "cli/local/alarm.hpp"

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
bool something_happens(Alarm& alarm) {
  const auto before = steady_clock::now();
  alarm.wait(kNever);
  return steady_clock::now() - before < kNever;
}

struct Scratch {
  std::string path = (fs::temp_directory_path() / ("alarm-test-" + std::to_string(::getpid()))).string();
  Scratch() { fs::create_directories(path); }
  ~Scratch() { fs::remove_all(path); }
};

TEST(Alarm, ends_by_time_when_nothing_happens) {
  Alarm alarm;
  const auto before = steady_clock::now();
  alarm.wait(milliseconds(20));
  EXPECT_GE(steady_clock::now() - before, milliseconds(20));
}

TEST(Alarm, rings_once_for_what_happened_before_the_wait) {
  Alarm alarm;
  alarm.ring();
  alarm.ring();
  EXPECT_TRUE(something_happens(alarm));
  const auto before = steady_clock::now();
  alarm.wait(milliseconds(20));
  EXPECT_GE(steady_clock::now() - before, milliseconds(20));
}

TEST(Alarm, hears_another_thread_while_it_waits) {
  Alarm alarm;
  std::thread other([&] { alarm.ring(); });
  EXPECT_TRUE(something_happens(alarm));
  other.join();
}

TEST(Alarm, hears_of_a_file_that_is_made_and_of_one_that_grows) {
  const Scratch scratch;
  Alarm alarm;
  alarm.watch_directory(scratch.path);
  std::ofstream file(scratch.path + "/journal");
  EXPECT_TRUE(something_happens(alarm));
  file << "line" << std::endl;
  EXPECT_TRUE(something_happens(alarm));
}

TEST(Alarm, hears_of_a_child_that_ended_and_gives_the_signal_back) {
  {
    Alarm alarm;
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    EXPECT_TRUE(something_happens(alarm));
    ::waitpid(pid, nullptr, 0);
  }
  struct sigaction now {};
  ::sigaction(SIGCHLD, nullptr, &now);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
}

}  // namespace
}  // namespace regroup::cli
