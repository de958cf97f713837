#include "base/bytes_text.hpp"

#include <fmt/format.h>

#include <utility>

namespace regroup {

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  if (bytes < 1'000'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  if (bytes < 1'000'000'000) return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

std::string memory_text(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  for (const auto& [unit, name] :
       {std::pair{1099511627776.0, "TiB"}, {1073741824.0, "GiB"}, {1048576.0, "MiB"}, {1024.0, "KiB"}})
    if (value >= unit) return fmt::format("{:.2f} {}", value / unit, name);
  return fmt::format("{} B", bytes);
}

}  // namespace regroup
