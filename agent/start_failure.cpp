#include "agent/start_failure.hpp"

#include "base/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace regroup::agent {
namespace {

constexpr int kLimitMs = 10'000;
constexpr std::size_t kMostBytes = 64 << 10;

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);  // npos + 1 is 0
}

// Until it ends, or the limit.
std::string read_all(int fd) {
  std::string said;
  char buffer[4096];
  for (;;) {
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, kLimitMs);
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t n = ready == 1 && said.size() < kMostBytes ? ::read(fd, buffer, sizeof buffer) : 0;
    if (n <= 0) return said;
    said.append(buffer, static_cast<std::size_t>(n));
  }
}

}  // namespace

std::string why_it_cannot_start(const std::string& program, const std::vector<std::string>& environment) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {};
  const auto pid = start_child({.arguments = {program, "--version"}, .environment = environment, .output = ends[1]});
  ::close(ends[1]);
  const std::string said = pid ? read_all(ends[0]) : std::string();
  ::close(ends[0]);
  if (!pid) return pid.error().context;
  ::kill(*pid, SIGKILL);  // a program that is stuck; to others nothing happens
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? std::string() : last_line(said);
}

}  // namespace regroup::agent
