// node_facts.hpp: what an agent knows of its node from its command line, and its time limits.
#pragma once

#include "base/ids.hpp"
#include "base/now.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace regroup::agent {

struct NodeFacts {
  std::string cluster = "default";
  NodeId node;
  std::uint64_t incarnation = 0;
  std::string agent_address;  // peer port
  std::string metrics_address;
  int slots = 1;
  bool keeps_spare = true;  // a process with its libraries loaded waits to become the next worker
  std::int64_t memory_bytes = 0;
  std::string device = "cpu";
  std::string zone;
  std::vector<std::string> worker_settings;  // NAME=VALUE of the workers' environment, in order of the names
  std::map<std::string, std::string> labels;
  Span drain_limit{120'000};  // a drained agent goes after this even if the coordinator has not taken its job away
  Span progress_every{1000};
  Span load_every{5000};     // tokens per expert, and only when they have changed
  Span stop_grace{2000};     // a worker that was asked to stop is killed after this
  Span snapshot_retry{500};  // a snapshot that its buddy did not take is offered again
};

}  // namespace regroup::agent
