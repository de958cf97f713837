#include "agent/core/slot.hpp"

#include <algorithm>

namespace regroup::agent {

Span restart_delay(int failures) {
  if (failures <= 1) return Span{250};
  return Span{std::min(60'000, 1000 << std::min(failures - 2, 6))};
}

}  // namespace regroup::agent
