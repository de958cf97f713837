#include "agent/worker_process.hpp"

#include "base/child.hpp"
#include "base/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace regroup::agent {

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(const std::string& program,
                                                            const std::vector<std::string>& environment) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Error{Code::kUnavailable, std::string("a socket pair: ") + std::strerror(errno)};
  static_assert(kWorkerSocket == 3);  // the first that is kept
  const auto pid =
      start_child({.arguments = {program}, .environment = environment, .keep = {ends[1]}, .own_group = false});
  ::close(ends[1]);
  if (!pid) {
    ::close(ends[0]);
    return pid.error();
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0));
  if (pidfd < 0) {
    const Error error{Code::kUnavailable, std::string("pidfd_open: ") + std::strerror(errno)};
    ::kill(*pid, SIGKILL);
    ::waitpid(*pid, nullptr, 0);
    ::close(ends[0]);
    return error;
  }
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(*pid, pidfd, ends[0]));
}

WorkerProcess::WorkerProcess(int pid, int pidfd, int socket)
    : pid_(pid), pidfd_(pidfd), socket_(socket), outgoing_(std::make_unique<WorkQueue>()) {}

WorkerProcess::~WorkerProcess() {
  kill();
  if (listener_.joinable()) {
    listener_.join();
  } else {
    wait_for_end();
  }
  socket_.shut_down();  // ends a message that was being written
  outgoing_.reset();
  ::close(pidfd_);
}

void WorkerProcess::listen_to(WorkerEvents events) {
  events_ = std::move(events);
  listener_ = std::thread([this] { listen(); });
}

bool WorkerProcess::has_ended() const {
  pollfd end{pidfd_, POLLIN, 0};
  return ::poll(&end, 1, 0) == 1;
}

siginfo_t WorkerProcess::wait_for_end() const {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_), &info, WEXITED) != 0 && errno == EINTR) {
  }
  return info;
}

void WorkerProcess::tell(const ToWorker& message, int fd) {
  const int lent = fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  outgoing_->post([this, json = to_json(message), lent] {
    (void)socket_.send(json, lent);  // a worker that is gone needs no message
    if (lent >= 0) ::close(lent);
  });
}

void WorkerProcess::kill() { ::syscall(SYS_pidfd_send_signal, pidfd_, SIGKILL, nullptr, 0); }

void WorkerProcess::listen() {
  bool open = true;
  for (;;) {
    pollfd waits[2] = {{pidfd_, POLLIN, 0}, {open ? socket_.fd() : -1, POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) continue;  // EINTR
    // What it said before it ended comes first.
    if (waits[1].revents != 0) {
      auto received = socket_.receive();
      if (!received) {
        open = false;
        continue;
      }
      auto message = from_worker_from_json(received->first);
      if (message) {
        events_.on_message(std::move(*message));
      } else {
        log::error("bad_message_from_worker", {{"pid", pid_}, {"error", to_string(message.error())}});
        kill();
      }
      continue;
    }
    if (waits[0].revents == 0) continue;
    const siginfo_t info = wait_for_end();
    const bool by_signal = info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED;
    events_.on_ended(by_signal ? info.si_status : 0, by_signal ? 0 : info.si_status);
    return;
  }
}

}  // namespace regroup::agent
