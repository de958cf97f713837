#include "cli/local/alarm.hpp"

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

std::atomic<int> bell_of_process{-1};
struct sigaction before {};

void ring_bell(int bell) {
  const std::uint64_t one = 1;
  (void)!::write(bell, &one, sizeof one);
}

void empty(int fd) {
  alignas(inotify_event) char buffer[4096];
  while (::read(fd, buffer, sizeof buffer) > 0) {
  }
}

}  // namespace

Alarm::Alarm() : bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), files_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  CHECK(bell_ >= 0, errno);  // without inotify the waits still end by time
  bell_of_process = bell_;
  struct sigaction action {};
  action.sa_handler = ring_from_signal;
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  ::sigaction(SIGCHLD, &action, &before);
}

Alarm::~Alarm() {
  ::sigaction(SIGCHLD, &before, nullptr);
  bell_of_process = -1;
  ::close(bell_);
  if (files_ >= 0) ::close(files_);
}

void Alarm::watch_directory(const std::string& directory) {
  if (files_ >= 0) ::inotify_add_watch(files_, directory.c_str(), IN_CREATE | IN_MODIFY | IN_MOVED_TO);
}

void Alarm::ring() { ring_bell(bell_); }

void Alarm::ring_from_signal(int) {
  const int error = errno;
  if (const int bell = bell_of_process; bell >= 0) ring_bell(bell);
  errno = error;
}

void Alarm::wait(std::chrono::milliseconds longest) {
  pollfd fds[] = {{bell_, POLLIN, 0}, {files_, POLLIN, 0}};
  (void)::poll(fds, 2, static_cast<int>(std::max<std::int64_t>(0, longest.count())));
  empty(bell_);
  if (files_ >= 0) empty(files_);
}

}  // namespace regroup::cli
