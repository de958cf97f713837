// options.hpp: the command line of regroup-agent.
#pragma once

#include "agent/shell.hpp"
#include "base/daemon_options.hpp"
#include "base/result.hpp"
#include "store/etcd/etcd_store.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::agent {

struct Options {
  ShellOptions shell;  // complete after complete_options, but for `sockets`
  std::string node, etcd = "127.0.0.1:2379", directory, address;
  DaemonOptions daemon;
  std::vector<std::string> labels;
  std::uint64_t memory_bytes = 0;
  double lease_seconds = 3, drain_seconds = 120;
  EtcdOptions etcd_options;
};

void add_options(CLI::App& app, Options& options);
// After the command line is parsed: what follows from it, and what was left out. kBadInput names the option.
Result<void> complete_options(Options& options);

}  // namespace regroup::agent
