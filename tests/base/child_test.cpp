#include "base/child.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>

namespace regroup {
namespace {

struct Pipe {
  int ends[2];
  Pipe() { EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0); }
  ~Pipe() {
    ::close(ends[0]);
    close_writer();
  }
  void close_writer() {
    if (ends[1] >= 0) ::close(ends[1]);
    ends[1] = -1;
  }
};

// What a shell script prints as a child; "failed: ..." when it does not end with status 0.
std::string output_of(const std::string& script, ChildProgram program = {}) {
  Pipe pipe;
  program.arguments = {"/bin/sh", "-c", script};
  program.output = pipe.ends[1];
  const auto pid = start_child(program);
  if (!pid) return "failed: " + pid.error().context;
  pipe.close_writer();
  std::string output;
  char buffer[512];
  for (ssize_t got = 0; (got = ::read(pipe.ends[0], buffer, sizeof buffer)) > 0;)
    output.append(buffer, static_cast<std::size_t>(got));
  int status = 0;
  ::waitpid(*pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? output : "failed: " + output;
}

// The descriptors that `ls` has: 3 is the directory that it reads.
constexpr const char* kListDescriptors = "exec ls /proc/self/fd";

TEST(Child, gets_no_descriptor_but_the_first_three) {
  const int leaks = ::open("/dev/null", O_RDONLY);  // not close-on-exec
  const int leaks_far_up = ::fcntl(leaks, F_DUPFD, 900);
  EXPECT_EQ(output_of(kListDescriptors), "0\n1\n2\n3\n");
  ::close(leaks);
  ::close(leaks_far_up);
}

TEST(Child, gets_what_is_kept_as_three_and_up_also_when_they_change_places) {
  Pipe first, second;
  ChildProgram program;
  // 3 and 4 of the child are, in our table, the wrong way round.
  const int low = ::fcntl(first.ends[1], F_DUPFD_CLOEXEC, 3), high = ::fcntl(second.ends[1], F_DUPFD_CLOEXEC, low + 1);
  program.keep = {high, low};
  EXPECT_EQ(output_of("echo to three >&3; echo to four >&4; exec ls /proc/self/fd", program), "0\n1\n2\n3\n4\n5\n");
  char buffer[64];
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(::read(second.ends[0], buffer, sizeof buffer))), "to three\n");
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(::read(first.ends[0], buffer, sizeof buffer))), "to four\n");
  EXPECT_EQ(::fcntl(low, F_GETFD), FD_CLOEXEC) << "it stays open here";
  ::close(low);
  ::close(high);
}

TEST(Child, reads_an_empty_standard_input) { EXPECT_EQ(output_of("cat; echo end"), "end\n"); }

TEST(Child, has_an_empty_signal_mask_whatever_its_parent_blocks_and_keeps_ours) {
  sigset_t some, before, after;
  ::sigemptyset(&some);
  ::sigaddset(&some, SIGTERM);
  ::sigaddset(&some, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &some, &before);
  EXPECT_EQ(output_of("grep SigBlk /proc/self/status"), "SigBlk:\t0000000000000000\n");
  ::pthread_sigmask(SIG_SETMASK, &before, &after);
  EXPECT_TRUE(::sigismember(&after, SIGUSR1));
  EXPECT_FALSE(::sigismember(&after, SIGINT));
}

TEST(Child, that_cannot_be_executed_is_an_error_and_no_child) {
  const auto missing = start_child({{"/nowhere/program"}, {}, -1, {}, true});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kUnavailable);
  EXPECT_EQ(missing.error().context, "cannot start /nowhere/program: No such file or directory");
  const auto directory = start_child({{"/tmp"}, {}, -1, {}, true});
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().context, "cannot start /tmp: Permission denied");
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Child, with_a_descriptor_that_is_not_open_is_an_error) {
  ChildProgram program;
  program.arguments = {"/bin/true"};
  program.keep = {12345};
  EXPECT_EQ(start_child(program).error().context, "cannot start /bin/true: Bad file descriptor");
}

TEST(Child, gets_the_environment_that_is_given_or_ours) {
  ::setenv("REGROUP_CHILD_TEST", "ours", 1);
  EXPECT_EQ(output_of("echo $REGROUP_CHILD_TEST"), "ours\n");
  ChildProgram program;
  program.environment = {"REGROUP_CHILD_TEST=given"};
  EXPECT_EQ(output_of("echo $REGROUP_CHILD_TEST", program), "given\n");
}

TEST(Child, has_a_process_group_of_its_own_unless_it_shall_not) {
  const std::string group = "read -r _ _ _ _ group _ < /proc/$$/stat; test $group -eq $$ && echo own || echo ours";
  EXPECT_EQ(output_of(group), "own\n");
  ChildProgram program;
  program.own_group = false;
  EXPECT_EQ(output_of(group, program), "ours\n");
}

TEST(Child, dies_with_the_thread_that_started_it) {
  Result<int> pid = 0;
  std::thread([&] { pid = start_child({{"/bin/sleep", "60"}, {}, -1, {}, true}); }).join();
  ASSERT_TRUE(pid);
  int status = 0;
  EXPECT_EQ(::waitpid(*pid, &status, 0), *pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void do_nothing(int) {}

TEST(Child, has_no_handler_of_ours_and_ignores_what_we_ignore) {
  struct sigaction caught {
  }, before_usr1{}, ignored{}, before_usr2{};
  caught.sa_handler = do_nothing;
  ignored.sa_handler = SIG_IGN;
  ::sigaction(SIGUSR1, &caught, &before_usr1);
  ::sigaction(SIGUSR2, &ignored, &before_usr2);
  EXPECT_EQ(output_of("kill -USR2 $$; echo goes on"), "goes on\n");
  EXPECT_EQ(output_of("kill -USR1 $$; echo goes on"), "failed: ");
  ::sigaction(SIGUSR1, &before_usr1, nullptr);
  ::sigaction(SIGUSR2, &before_usr2, nullptr);
}

}  // namespace
}  // namespace regroup
