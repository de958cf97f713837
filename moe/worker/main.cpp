// regroup-worker: started by an agent with a socket as file descriptor 3; computes. Everything comes through the
// socket: its options only tell what it is.
#include "base/log.hpp"
#include "base/version.hpp"
#include "moe/ops/machine.hpp"
#include "moe/worker/agent_link.hpp"
#include "moe/worker/worker.hpp"

#include <c10/core/InferenceMode.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string_view>

namespace {

constexpr const char* kUsage =
    "regroup-worker is started by regroup-agent, not by hand: it takes its job from the socket at file descriptor 3.\n"
    "Options that tell and end: --version, --help\n";

}  // namespace

int main(int argc, char** argv) {
  using namespace regroup;
  const std::string_view option = argc == 2 ? argv[1] : "";
  if (option == "--version") return std::puts(version_line("regroup-worker").c_str()) < 0;
  if (option == "--help" || option == "-h") return std::fputs(kUsage, stdout) < 0;
  if (argc > 1 || fcntl(kWorkerSocket, F_GETFD) < 0) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  ops::keep_freed_memory();
  ops::settle_arithmetic();
  const c10::InferenceMode inference;
  AgentLink link(kWorkerSocket);
  Welcome welcome = link.wait_welcome();
  log::start("worker " + to_string(welcome.self));
  try {
    Worker worker(link, std::move(welcome));
    auto good = worker.prepare();
    if (good) good = worker.run();
    log::error("worker_cannot_start", {{"reason", to_string(good.error())}});
    link.send(Fault{good.error().context});
    link.state(WorkerState::kFailed, good.error().context);
    pause();
  } catch (const std::exception& error) {
    log::error("worker_failed", {{"error", error.what()}});
    link.send(Fault{error.what()});
    return 1;
  }
}
