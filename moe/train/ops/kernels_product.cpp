#include "moe/train/ops/kernels.hpp"
#include "moe/train/ops/vec16.hpp"

#include <algorithm>
#include <cstring>

namespace regroup::ops {

namespace {

// kRows x (16 kVectors) of c in registers. Each element is one chain of fused multiply-adds in ascending k: its bits do not depend on the blocking.
template <int kRows, int kVectors>
REGROUP_INLINE void block(const float* a, std::int64_t row_stride, std::int64_t k_stride, const float* b, float* c, std::int64_t ldc, std::int64_t k,
                          bool accumulate) {
  f32x16 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[r][v] = accumulate ? load(c + r * ldc + v * kLanes) : f32x16{};
  for (std::int64_t i = 0; i < k; ++i, a += k_stride, b += kPanel) {
    f32x16 row[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) row[v] = load(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const f32x16 factor = all(a[r * row_stride]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[r][v] = fma(factor, row[v], sums[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) store(c + r * ldc + v * kLanes, sums[r][v]);
}

// 32 vector registers hold 8 x 2 sums; with 16 half as wide, 4 x 1.
bool has_wide_registers() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f");
#else
  return true;
#endif
}
const bool kWide = has_wide_registers();

}  // namespace

REGROUP_CLONES void multiply_panel(const float* a, std::int64_t row_stride, std::int64_t k_stride, const float* b, float* c, std::int64_t ldc, std::int64_t m,
                                   std::int64_t k, bool accumulate) {
  std::int64_t i = 0;
  if (kWide)
    for (; i + 8 <= m; i += 8) block<8, 2>(a + i * row_stride, row_stride, k_stride, b, c + i * ldc, ldc, k, accumulate);
  for (; i + 4 <= m; i += 4)
    for (std::int64_t j = 0; j < kPanel; j += kLanes) block<4, 1>(a + i * row_stride, row_stride, k_stride, b + j, c + i * ldc + j, ldc, k, accumulate);
  for (; i < m; ++i) block<1, 2>(a + i * row_stride, row_stride, k_stride, b, c + i * ldc, ldc, k, accumulate);
}

namespace {

template <class T>
REGROUP_INLINE void pack(const T* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t first = 0; first < columns; first += kPanel, to += rows * kPanel) {
    const std::int64_t width = std::min(kPanel, columns - first);
    if (width < kPanel) std::memset(to, 0, static_cast<std::size_t>(rows * kPanel) * sizeof(float));
    for (std::int64_t i = 0; i < rows; ++i)
      for_each_16(width, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) { st(to + i * kPanel + j, ld(from + i * stride + first + j)); });
  }
}

template <class T>
REGROUP_INLINE void unpack(const float* from, T* to, std::int64_t stride, std::int64_t rows, std::int64_t columns, const float* row_factor, float factor) {
  for (std::int64_t first = 0; first < columns; first += kPanel, from += rows * kPanel) {
    const std::int64_t width = std::min(kPanel, columns - first);
    for (std::int64_t i = 0; i < rows; ++i) {
      const float f = row_factor != nullptr ? row_factor[i] : factor;
      for_each_16(width, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) { st(to + i * stride + first + j, ld(from + i * kPanel + j) * f); });
    }
  }
}

template <class T>
REGROUP_INLINE void pack_transposed(const T* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t first = 0; first < rows; first += kPanel, to += columns * kPanel) {
    const std::int64_t width = std::min(kPanel, rows - first);
    if (width < kPanel) std::memset(to, 0, static_cast<std::size_t>(columns * kPanel) * sizeof(float));
    for (std::int64_t i = 0; i < columns; ++i)
      for (std::int64_t j = 0; j < width; ++j) to[i * kPanel + j] = to_float(from[(first + j) * stride + i]);
  }
}

template <class T>
REGROUP_INLINE void widen(const T* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns, float factor) {
  for (std::int64_t i = 0; i < rows; ++i)
    for_each_16(columns, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) { st(to + i * columns + j, ld(from + i * stride + j) * factor); });
}

}  // namespace

REGROUP_CLONES void pack_panels(const float* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns) { pack(from, stride, to, rows, columns); }
REGROUP_CLONES void pack_panels(const bf16* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns) { pack(from, stride, to, rows, columns); }

REGROUP_CLONES void unpack_panels(const float* from, float* to, std::int64_t stride, std::int64_t rows, std::int64_t columns, const float* row_factor, float factor) {
  unpack(from, to, stride, rows, columns, row_factor, factor);
}
REGROUP_CLONES void unpack_panels(const float* from, bf16* to, std::int64_t stride, std::int64_t rows, std::int64_t columns, const float* row_factor, float factor) {
  unpack(from, to, stride, rows, columns, row_factor, factor);
}

REGROUP_CLONES void pack_transposed_panels(const float* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns) {
  pack_transposed(from, stride, to, rows, columns);
}
REGROUP_CLONES void pack_transposed_panels(const bf16* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns) {
  pack_transposed(from, stride, to, rows, columns);
}

REGROUP_CLONES void widen_rows(const float* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns, float factor) {
  widen(from, stride, to, rows, columns, factor);
}
REGROUP_CLONES void widen_rows(const bf16* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns, float factor) {
  widen(from, stride, to, rows, columns, factor);
}

}  // namespace regroup::ops
