#include "bench/checkpoint/processes.hpp"

#include "base/now.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace regroup::bench {
namespace {

void must(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::exit(1);
}

}  // namespace

Outcome run_together(const std::vector<Child>& children) {
  int ready[2], start[2], done[2];
  must(::pipe(ready) == 0 && ::pipe(start) == 0 && ::pipe(done) == 0, "pipe");
  std::vector<pid_t> pids;
  std::fflush(nullptr);
  for (std::size_t i = 0; i < children.size(); ++i) {
    const pid_t pid = ::fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
      ::close(start[1]);
      if (children[i].prepare) children[i].prepare();
      char byte = 'r';
      must(::write(ready[1], &byte, 1) == 1, "ready");
      (void)!::read(start[0], &byte, 1);  // ends when the parent closes its end
      const double result[2] = {static_cast<double>(i), children[i].work()};
      must(::write(done[1], result, sizeof result) == sizeof result, "done");
      ::_exit(0);
    }
    pids.push_back(pid);
  }
  ::close(ready[1]);
  ::close(done[1]);
  for (std::size_t i = 0; i < children.size(); ++i) {
    char byte;
    must(::read(ready[0], &byte, 1) == 1, "a child ended before the start");
  }
  Outcome outcome;
  outcome.values.resize(children.size());
  const auto begin = std::chrono::steady_clock::now();
  ::close(start[1]);
  for (std::size_t i = 0; i < children.size(); ++i) {
    double result[2];
    must(::read(done[0], result, sizeof result) == sizeof result, "a child ended without a result");
    outcome.values[static_cast<std::size_t>(result[0])] = result[1];
  }
  outcome.seconds = seconds_since(begin);
  for (const pid_t pid : pids) ::waitpid(pid, nullptr, 0);
  for (const int fd : {ready[0], start[0], done[0]}) ::close(fd);
  return outcome;
}

}  // namespace regroup::bench
