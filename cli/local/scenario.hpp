// scenario.hpp: what happens to a local run and when: an events file, or a trace of machines that come and go.
#pragma once

#include "base/result.hpp"
#include "cli/local/deed.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace regroup::cli {

struct ScenarioEvent {
  std::int64_t at_step = -1;  // once this step is committed; -1: by time
  // ... and this epoch is planned: a failure in the middle of a regroup; 0: whatever the epoch
  std::int64_t at_epoch = 0;
  std::int64_t at_ms = -1;  // after the first commit, already scaled
  Deed deed = Deed::kKillWorker;
  std::string node;  // empty: chosen when it happens
  int count = 0;
  double seconds = 0;
};

// YAML list of {at_step, at_epoch, do, node, nodes, seconds}; kBadInput names line and key.
Result<std::vector<ScenarioEvent>> load_events(const std::string& path);

// A machine of a trace comes or goes.
struct TraceLine {
  std::int64_t at_ms = 0;
  bool add = false;
  std::vector<std::string> nodes;
};

// Lines `milliseconds,add|remove,node[,node...]` in ascending time. kBadInput names the line.
Result<std::vector<TraceLine>> parse_trace(const std::string& text);

// Which machines run: at most `limit` of those present, the others wait as spares in order of arrival and step in when
// one is removed.
struct TracePlay {
  std::vector<std::string> at_start;  // run from the beginning: the first machines of the trace
  // joins and kill-nodes, at_ms from the first line's time, times divided by `scale`
  std::vector<ScenarioEvent> events;
};
TracePlay play_trace(const std::vector<TraceLine>& trace, int limit, double scale);

}  // namespace regroup::cli
