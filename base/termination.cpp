#include "base/termination.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace regroup {
namespace {

sigset_t termination_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  return signals;
}

}  // namespace

void block_termination() {
  const sigset_t signals = termination_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

OnTermination::OnTermination(std::function<void()> asked)
    : thread_([asked = std::move(asked), signals = termination_signals()] {
        for (int signal = 0; sigwait(&signals, &signal) == 0 && signal != SIGUSR1;) asked();
      }) {}

OnTermination::~OnTermination() {
  pthread_kill(thread_.native_handle(), SIGUSR1);
  thread_.join();
}

}  // namespace regroup
