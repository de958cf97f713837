// daemon_options.hpp: --metrics, --log-file and --log-level of both daemons.
#pragma once

#include "base/result.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace regroup {

struct DaemonOptions {
  std::string metrics_address, log_file, log_level = "info";
};

// App: a CLI::App; its header is the caller's.
template <class App>
void add_daemon_options(App& app, DaemonOptions& options) {
  app.add_option("--metrics", options.metrics_address,
                 "HOST:PORT for /metrics, /healthz and /status (none if left out)");
  app.add_option("--log-file", options.log_file, "append the log there instead of stderr");
  const auto known = [](const std::string& word) {
    for (const char* level : {"debug", "info", "warn", "error"})
      if (word == level) return std::string();
    return word + " not in {debug,info,warn,error}";
  };
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")->capture_default_str()->check(known);
}

// kBadInput: the log file cannot be written.
inline Result<void> check_daemon_options(const DaemonOptions& options) {
  if (options.log_file.empty() || std::ofstream(options.log_file, std::ios::app)) return {};
  return Error{Code::kBadInput, "cannot write --log-file " + options.log_file + ": " + std::strerror(errno)};
}

}  // namespace regroup
