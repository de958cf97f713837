#include "moe/train/ops/kernels.hpp"
#include "moe/train/ops/softmax_row.hpp"

#include <algorithm>
#include <cmath>

namespace regroup::ops {

namespace {

struct Range {
  std::int64_t lo;
  std::int64_t hi;
};

// Keys that query row i sees.
REGROUP_INLINE Range seen(const Tile& tile, std::int64_t i) {
  const std::int64_t hi = i + tile.visible;
  return {std::max<std::int64_t>(0, hi - tile.window), std::min(hi, tile.keys)};
}

}  // namespace

REGROUP_CLONES void attend_tile(const Tile& tile, float* scores, float* lse, std::int64_t lse_stride, float* inverse_sum) {
  for (std::int64_t head = 0; head < tile.heads; ++head)
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      float* row = scores + (head * tile.rows + i) * tile.keys;
      const Range keys = seen(tile, i);
      const float top = largest_of(row + keys.lo, keys.hi - keys.lo);
      const float total = exp_row(row + keys.lo, top, row + keys.lo, keys.hi - keys.lo);
      std::fill(row, row + keys.lo, 0.0f);
      std::fill(row + keys.hi, row + tile.keys, 0.0f);
      lse[head * lse_stride + i] = top + static_cast<float>(std::log(static_cast<double>(total)));
      inverse_sum[head * tile.rows + i] = 1.0f / total;
    }
}

REGROUP_CLONES void attend_tile_backward(const Tile& tile, float* scores, float* dscores, const float* lse, std::int64_t lse_stride, const float* delta,
                                         float factor) {
  for (std::int64_t head = 0; head < tile.heads; ++head)
    for (std::int64_t i = 0; i < tile.rows; ++i) {
      float* p = scores + (head * tile.rows + i) * tile.keys;
      float* d = dscores + (head * tile.rows + i) * tile.keys;
      const Range keys = seen(tile, i);
      const float shift = lse[head * lse_stride + i];
      const float own_delta = delta[head * tile.rows + i];
      for_each_16(keys.hi - keys.lo, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
        const f32x16 probability = exp(ld(p + keys.lo + j) - shift);
        st(p + keys.lo + j, probability);
        st(d + keys.lo + j, probability * (ld(d + keys.lo + j) - own_delta) * factor);
      });
      std::fill(p, p + keys.lo, 0.0f);
      std::fill(d, d + keys.lo, 0.0f);
      std::fill(p + keys.hi, p + tile.keys, 0.0f);
      std::fill(d + keys.hi, d + tile.keys, 0.0f);
    }
}

REGROUP_CLONES void stack_heads(const float* from, std::int64_t from_stride, float* to, std::int64_t heads, std::int64_t rows, std::int64_t head_dim) {
  for (std::int64_t head = 0; head < heads; ++head)
    for (std::int64_t i = 0; i < rows; ++i) std::copy_n(from + i * from_stride + head * head_dim, head_dim, to + (head * rows + i) * head_dim);
}

REGROUP_CLONES void unstack_heads(const float* from, const float* factor, float* to, std::int64_t to_stride, std::int64_t heads, std::int64_t rows,
                                  std::int64_t head_dim) {
  for (std::int64_t head = 0; head < heads; ++head)
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* in = from + (head * rows + i) * head_dim;
      float* out = to + i * to_stride + head * head_dim;
      const float by = factor != nullptr ? factor[head * rows + i] : 1.0f;
      for_each_16(head_dim, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) { st(out + j, ld(in + j) * by); });
    }
}

REGROUP_CLONES void dot_rows(const float* a, const float* b, float* out, std::int64_t n, std::int64_t h) {
  for (std::int64_t row = 0; row < n; ++row) {
    f32x16 products = {};
    for_each_16(h, [&](std::int64_t j, auto ld, auto) __attribute__((always_inline)) { products += ld(a + row * h + j) * ld(b + row * h + j); });
    out[row] = sum(products);
  }
}

}  // namespace regroup::ops
