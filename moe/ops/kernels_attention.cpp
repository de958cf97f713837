#include "moe/ops/kernels.hpp"
#include "moe/ops/softmax_row.hpp"

#include <algorithm>
#include <cmath>

namespace regroup::ops {

namespace {

// Zeros beside what the row sees: products take whole blocks of rows and keys.
REGROUP_INLINE void clear_beside(const Tile& tile, std::int64_t i, float* row) {
  const std::int64_t begin = tile.begin(i);
  const std::int64_t end = tile.end(i);
  std::fill(row + std::max<std::int64_t>(0, begin - kTileSlack), row + begin, 0.0f);
  std::fill(row + end, row + std::min(tile.stride, end + kTileSlack), 0.0f);
}

}  // namespace

REGROUP_CLONES void attend_tile(const Tile& tile, float* scores, float* lse, float* inverse_sum) {
  for (std::int64_t i = 0; i < tile.rows; ++i, scores += tile.stride) {
    const std::int64_t begin = tile.begin(i);
    const std::int64_t count = tile.end(i) - begin;
    const float top = largest_of(scores + begin, count);
    const float total = exp_row(scores + begin, top, scores + begin, count);
    clear_beside(tile, i, scores);
    lse[i] = top + static_cast<float>(std::log(static_cast<double>(total)));
    inverse_sum[i] = 1.0f / total;
  }
}

REGROUP_CLONES void attend_tile_backward(const Tile& tile, float* scores, float* dscores, const float* lse,
                                         const float* delta) {
  for (std::int64_t i = 0; i < tile.rows; ++i, scores += tile.stride, dscores += tile.stride) {
    const std::int64_t begin = tile.begin(i);
    float* p = scores + begin;
    float* d = dscores + begin;
    const float shift = lse[i];
    const float own_delta = delta[i];
    for_each_16(
        tile.end(i) - begin, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
          const f32x16 probability = exp(ld(p + j) - shift);
          st(p + j, probability);
          st(d + j, probability * (ld(d + j) - own_delta));
        });
    clear_beside(tile, i, scores);
    clear_beside(tile, i, dscores);
  }
}

namespace {

template <class T>
REGROUP_INLINE void dots(const T* a, const T* b, std::int64_t stride, float* out, std::int64_t n, std::int64_t h) {
  for (std::int64_t row = 0; row < n; ++row) {
    f32x16 products = {};
    for_each_16(
        h, [&](std::int64_t j, auto ld, auto)
               __attribute__((always_inline)) { products += ld(a + row * stride + j) * ld(b + row * stride + j); });
    out[row] = sum(products);
  }
}

}  // namespace

REGROUP_CLONES void dot_rows(const float* a, const float* b, std::int64_t stride, float* out, std::int64_t n,
                             std::int64_t h) {
  dots(a, b, stride, out, n, h);
}
REGROUP_CLONES void dot_rows(const bf16* a, const bf16* b, std::int64_t stride, float* out, std::int64_t n,
                             std::int64_t h) {
  dots(a, b, stride, out, n, h);
}

}  // namespace regroup::ops
