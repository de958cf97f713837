// exporter.hpp: counters as Prometheus text (format 0.0.4): every metric, its name and its help. Pure but for
// /proc/self; any thread.
#pragma once

#include "metrics/counters.hpp"

namespace regroup::metrics {

inline constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

struct Build {
  std::string program;  // regroup-agent, regroup-coordinator
  std::string version;
};

std::string to_prometheus(const AgentCounters& counters, const Build& build);
std::string to_prometheus(const CoordinatorCounters& counters, const Build& build);

}  // namespace regroup::metrics
