// softmax_row.hpp: the two passes every softmax here is made of. Inside moe/ops only.
#pragma once

#include "moe/ops/vec16.hpp"

#include <limits>

namespace regroup::ops {

inline constexpr float kLowest = -std::numeric_limits<float>::infinity();

REGROUP_INLINE float largest_of(const float* row, std::int64_t n) {
  f32x16 m = all(kLowest);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) m = larger(m, load(row + i));
  float result = largest(m);
  for (; i < n; ++i) result = row[i] > result ? row[i] : result;
  return result;
}

// out = exp(row - shift), and the sum of that.
REGROUP_INLINE float exp_row(const float* row, float shift, float* out, std::int64_t n) {
  f32x16 total = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const f32x16 e = exp(load(row + i) - shift);
    store(out + i, e);
    total += e;
  }
  if (i < n) {
    const f32x16 e = exp(load_part(row + i, n - i) - shift);
    store_part(out + i, e, n - i);
    total += load_part(out + i, n - i);
  }
  return sum(total);
}

}  // namespace regroup::ops
