#include "base/child.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace regroup {
namespace {

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

struct Prepared {  // all that needs memory is made before the fork
  std::vector<char*> arguments;
  char** environment;
  int output;
  std::vector<int> keep;
  bool own_group;
  int parent;
  int report;  // write end of a pipe that exec closes: what comes through it is the errno of a failure
};

// A handler of the parent must not run in the child: it would ring the parent's bells.
void forget_handlers() {
  for (int signal = 1; signal < NSIG; ++signal) {
    struct sigaction action {};
    if (::sigaction(signal, nullptr, &action) != 0 || action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL)
      continue;
    action = {};
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
  }
}

// Descriptors 0 to 2, then the kept ones, then the report's; all above are closed. Sources may lie where targets will
// be, so they first move above all targets. False: errno says why.
bool place_descriptors(Prepared& child) {
  const int num_kept = static_cast<int>(child.keep.size());
  const int report_at = 3 + num_kept;
  const auto move_up = [&](int& fd) { return (fd = ::fcntl(fd, F_DUPFD_CLOEXEC, report_at + 1)) >= 0; };
  if (!move_up(child.report)) return false;
  if (child.output >= 0 && !move_up(child.output)) return false;
  for (int& fd : child.keep)
    if (!move_up(fd)) return false;
  int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || !move_up(null)) return false;
  if (::dup2(null, 0) < 0) return false;
  if (child.output >= 0 && (::dup2(child.output, 1) < 0 || ::dup2(child.output, 2) < 0)) return false;
  for (int i = 0; i < num_kept; ++i)
    if (::dup2(child.keep[static_cast<std::size_t>(i)], 3 + i) < 0) return false;
  if (::dup3(child.report, report_at, O_CLOEXEC) < 0) return false;
  child.report = report_at;
  return ::syscall(SYS_close_range, report_at + 1, ~0u, 0) == 0;
}

// In the child: only async-signal-safe calls, because another thread may have held any lock when we forked.
[[noreturn]] void become(Prepared& child) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != child.parent) ::_exit(127);  // it died before PDEATHSIG was set: no signal will come
  if (child.own_group) ::setpgid(0, 0);
  forget_handlers();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (place_descriptors(child)) ::execve(child.arguments[0], child.arguments.data(), child.environment);
  const int error = errno;
  (void)!::write(child.report, &error, sizeof error);
  ::_exit(127);
}

}  // namespace

Result<int> start_child(const ChildProgram& program) {
  const auto failed = [&](int error) {
    return Error{Code::kUnavailable, "cannot start " + program.arguments.at(0) + ": " + std::strerror(error)};
  };
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return failed(errno);
  std::vector<char*> environment;
  if (program.environment) environment = pointers_to(*program.environment);
  Prepared child{pointers_to(program.arguments),
                 program.environment ? environment.data() : environ,
                 program.output,
                 program.keep,
                 program.own_group,
                 ::getpid(),
                 report[1]};
  // No signal is handled between fork and forget_handlers.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) become(child);
  const int fork_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(report[1]);
  int error = pid < 0 ? fork_error : 0;
  // Ends with nothing when exec has closed the other end.
  while (pid > 0 && ::read(report[0], &error, sizeof error) < 0 && errno == EINTR) {
  }
  ::close(report[0]);
  if (error == 0) return static_cast<int>(pid);
  if (pid > 0)
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  return failed(error);
}

}  // namespace regroup
