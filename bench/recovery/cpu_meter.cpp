#include "bench/recovery/cpu_meter.hpp"

#include "cli/local/processes.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace regroup::bench {
namespace {

double seconds_of(const rusage& usage) {
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// A process, what it has waited for, and all below it. proc(5): utime, stime, cutime and cstime are fields 14 to 17.
double ticks_below(int pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text);
  const auto end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double ticks = 0, own[4] = {};
  for (double& value : own) {
    fields >> value;
    ticks += value;
  }
  for (const int child : cli::children_of(pid)) ticks += ticks_below(child);
  return ticks;
}

}  // namespace

CpuMeter::CpuMeter() : start_(read()) {}

CpuMeter::Reading CpuMeter::read() {
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  Reading reading;
  std::ifstream in("/proc/stat");
  std::string cpu;
  in >> cpu;
  double value = 0;  // user nice system idle iowait irq softirq steal; what follows is counted in user already
  for (int i = 0; i < 8 && in >> value; ++i) {
    reading.all_s += value * tick;
    if (i != 3 && i != 4) reading.busy_s += value * tick;
  }
  rusage self{}, waited_for{};
  ::getrusage(RUSAGE_SELF, &self);
  ::getrusage(RUSAGE_CHILDREN, &waited_for);
  reading.ours_s = seconds_of(self) + seconds_of(waited_for);
  for (const int child : cli::children_of(::getpid())) reading.ours_s += ticks_below(child) * tick;
  return reading;
}

double CpuMeter::share_of_others() const {
  const Reading now = read();
  const double all = now.all_s - start_.all_s;
  const double others = (now.busy_s - start_.busy_s) - (now.ours_s - start_.ours_s);
  return all <= 0 ? 0 : std::clamp(others / all, 0.0, 1.0);
}

}  // namespace regroup::bench
