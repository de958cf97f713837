#include "bench/recovery/bench_folder.hpp"

#include "base/log.hpp"
#include "bench/recovery/running_job.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace regroup::bench {

namespace fs = std::filesystem;

Result<std::string> make_bench_folder(const std::string& dir, const std::string& program) {
  const std::string parent = dir.empty() ? fs::temp_directory_path().string() : fs::absolute(dir).string();
  std::string folder = parent + "/" + program + "-XXXXXX";
  std::error_code ignored;
  fs::create_directories(parent, ignored);
  if (::mkdtemp(folder.data()) == nullptr) return Error{Code::kBadInput, "cannot make a directory in " + parent};
  log::start(program, log::Level::kInfo, folder + "/bench.log");
  return folder;
}

void end_waits_by_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

std::string folder_of_programs() { return fs::read_symlink("/proc/self/exe").parent_path().string(); }

int fail(const std::string& program, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", program.c_str(), why.c_str());
  return interrupted != 0 ? 130 : 1;
}

}  // namespace regroup::bench
