// local_run.hpp: one job on this machine alone: etcd, coordinators and agents as child processes, events as asked,
// until the job is over.
#pragma once

#include "api/job_spec.hpp"
#include "base/result.hpp"
#include "cli/local/scenario.hpp"

#include <cstdio>
#include <string>
#include <vector>

namespace regroup::cli {

struct LocalOptions {
  JobSpec job;  // data pinned
  int nodes = 1;
  int coordinators = 1;
  std::string dir;       // absolute; made if absent. A job that is not over goes on there.
  std::string programs;  // directory of the other programs
  std::vector<ScenarioEvent> events;
  std::vector<std::string> first_nodes;  // of a trace; empty: node-1 ... node-<nodes>
  std::string summary_file;              // "" = none
  double stall_seconds = 120;            // without a commit while nodes run: the run has failed
  bool metrics = false;
  std::vector<std::string> worker_env;  // NAME=VALUE for all workers
  std::string go_on_with;               // the command that goes on with this run, for whoever interrupts it
  std::FILE* out = stdout;
};

// 0: the job finished; 1: it failed, stalled or stopped, or its members contradicted each other; 130: interrupted. One
// sentence says why.
int run_local(const LocalOptions& options, std::string* summary);

}  // namespace regroup::cli
