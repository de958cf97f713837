#include "moe/regroup/common_digest.hpp"

#include <algorithm>

namespace regroup {

std::string common_digest(const std::vector<std::string>& digests) {
  std::string best;
  std::ptrdiff_t most = 0;
  for (const std::string& one : digests) {
    const std::ptrdiff_t have = std::count(digests.begin(), digests.end(), one);
    if (one.empty() || have <= most) continue;
    best = one;
    most = have;
  }
  return best;
}

}  // namespace regroup
