#include "base/fp32.hpp"

#include <cmath>
#include <cstdio>
#include <limits>

namespace regroup {

std::string not_in_fp32(double value) {
  using Fp32 = std::numeric_limits<float>;
  const double size = std::abs(value);
  if (size == 0 || (size >= double{Fp32::min()} && size <= double{Fp32::max()})) return {};
  char text[96];
  std::snprintf(text, sizeof text, "is %g, which fp32 cannot hold: 0, or %.1e to %.1e", value, double{Fp32::min()},
                double{Fp32::max()});
  return text;
}

}  // namespace regroup
