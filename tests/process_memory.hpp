// process_memory.hpp: what /proc says of this process's memory.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace regroup {

// KiB of a field, such as "VmHWM:"; 0: there is none.
inline std::int64_t status_kib(const std::string& field) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(field)) return std::stoll(line.substr(field.size()));
  return 0;
}

}  // namespace regroup
