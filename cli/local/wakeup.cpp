#include "cli/local/wakeup.hpp"

#include "base/check.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace regroup::cli {
namespace {

std::atomic<int> of_process{-1};
struct sigaction before {};

void wake_by(int fd) {
  const std::uint64_t one = 1;
  (void)!::write(fd, &one, sizeof one);
}

void empty(int fd) {
  alignas(inotify_event) char buffer[4096];
  while (::read(fd, buffer, sizeof buffer) > 0) {
  }
}

}  // namespace

Wakeup::Wakeup() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), files_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  CHECK(event_ >= 0, errno);  // without inotify the waits still end by time
  of_process = event_;
  struct sigaction action {};
  action.sa_handler = wake_from_signal;
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  ::sigaction(SIGCHLD, &action, &before);
}

Wakeup::~Wakeup() {
  ::sigaction(SIGCHLD, &before, nullptr);
  of_process = -1;
  ::close(event_);
  if (files_ >= 0) ::close(files_);
}

void Wakeup::watch_directory(const std::string& directory) {
  if (files_ >= 0) ::inotify_add_watch(files_, directory.c_str(), IN_CREATE | IN_MODIFY | IN_MOVED_TO);
}

void Wakeup::wake() { wake_by(event_); }

void Wakeup::wake_from_signal(int) {
  const int error = errno;
  if (const int fd = of_process; fd >= 0) wake_by(fd);
  errno = error;
}

void Wakeup::wait(std::chrono::milliseconds longest) {
  pollfd fds[] = {{event_, POLLIN, 0}, {files_, POLLIN, 0}};
  (void)::poll(fds, 2, static_cast<int>(std::max<std::int64_t>(0, longest.count())));
  empty(event_);
  if (files_ >= 0) empty(files_);
}

}  // namespace regroup::cli
