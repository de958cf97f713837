// node_facts.hpp: what an agent knows of its node from its command line, and how long is long for it.
#pragma once

#include "base/ids.hpp"
#include "base/now.hpp"

#include <cstdint>
#include <map>
#include <string>

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
  std::map<std::string, std::string> labels;
  Span drain_limit{120'000};  // a drained agent goes after this even if nobody has let it go
  Span progress_every{1000};
  Span load_every{5000};     // the experts' load, and only when it has changed
  Span stop_grace{2000};     // a worker that was asked to stop is killed after this
  Span snapshot_retry{500};  // a snapshot that no buddy has is offered again
};

}  // namespace regroup::agent
