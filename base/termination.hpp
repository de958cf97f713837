// termination.hpp: SIGTERM and SIGINT as calls of a function, for daemons: no code runs inside a signal handler.
#pragma once

#include <functional>
#include <thread>

namespace regroup {

// Blocks them in this thread and in all that it starts later: call it in main before any thread starts. Blocks SIGUSR1,
// too, which ends OnTermination's wait, and ignores SIGPIPE: a peer that is gone is an error of the write.
void block_termination();

// While it lives, each SIGTERM or SIGINT is a call of `asked` on a thread of its own; also one that came before.
class OnTermination {
 public:
  explicit OnTermination(std::function<void()> asked);
  ~OnTermination();  // no call comes afterwards
  OnTermination(const OnTermination&) = delete;
  OnTermination& operator=(const OnTermination&) = delete;

 private:
  std::thread thread_;
};

}  // namespace regroup
