#include "moe/ops/cpu.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/vec16.hpp"

#include <algorithm>
#include <cstring>

namespace regroup::ops {

namespace {

using Wide = float __attribute__((vector_size(64)));  // one register of AVX-512

// kRows x (lanes of Vector x kVectors) of c in registers. Each element is one chain of fused multiply-adds in ascending
// k: its bits do not depend on the blocking.
template <class Vector, int kRows, int kVectors>
REGROUP_INLINE void block(const float* a, std::int64_t row_stride, std::int64_t k_stride, const float* b, float* c,
                          std::int64_t ldc, std::int64_t k, bool accumulate) {
  constexpr std::int64_t kStep = lanes<Vector>;
  Vector sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[r][v] = accumulate ? load_as<Vector>(c + r * ldc + v * kStep) : Vector{};
  for (std::int64_t i = 0; i < k; ++i, a += k_stride, b += kPanel) {
    Vector row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) row[v] = load_as<Vector>(b + v * kStep);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto factor = all_as<Vector>(a[r * row_stride]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[r][v] = fma(factor, row[v], sums[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store_as(c + r * ldc + v * kStep, sums[r][v]);
}

}  // namespace

REGROUP_CLONES void multiply_panel(const float* a, std::int64_t row_stride, std::int64_t k_stride, const float* b,
                                   float* c, std::int64_t ldc, std::int64_t m, std::int64_t k, bool accumulate) {
  std::int64_t i = 0;
  // 32 registers of 16 floats hold 8 x 2 sums; 16 registers of 8 floats hold 4 x 2.
  if (has_avx512())
    for (; i + 8 <= m; i += 8)
      block<Wide, 8, 2>(a + i * row_stride, row_stride, k_stride, b, c + i * ldc, ldc, k, accumulate);
  for (; i + 4 <= m; i += 4)
    for (std::int64_t j = 0; j < kPanel; j += kLanes)
      block<f32x8, 4, 2>(a + i * row_stride, row_stride, k_stride, b + j, c + i * ldc + j, ldc, k, accumulate);
  for (; i < m; ++i) block<f32x8, 1, 4>(a + i * row_stride, row_stride, k_stride, b, c + i * ldc, ldc, k, accumulate);
}

namespace {

template <class T>
REGROUP_INLINE void pack(const T* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t first = 0; first < columns; first += kPanel, to += rows * kPanel) {
    const std::int64_t width = std::min(kPanel, columns - first);
    if (width < kPanel) std::memset(to, 0, static_cast<std::size_t>(rows * kPanel) * sizeof(float));
    for (std::int64_t i = 0; i < rows; ++i)
      for_each_16(
          width, [&](std::int64_t j, auto ld, auto st)
                     __attribute__((always_inline)) { st(to + i * kPanel + j, ld(from + i * stride + first + j)); });
  }
}

template <class T>
REGROUP_INLINE void unpack(const float* from, T* to, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                           const float* row_factor, float factor) {
  for (std::int64_t first = 0; first < columns; first += kPanel, from += rows * kPanel) {
    const std::int64_t width = std::min(kPanel, columns - first);
    for (std::int64_t i = 0; i < rows; ++i) {
      const float f = row_factor != nullptr ? row_factor[i] : factor;
      for_each_16(
          width, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
            st(to + i * stride + first + j, ld(from + i * kPanel + j) * f);
          });
    }
  }
}

template <class T>
REGROUP_INLINE void pack_transposed(const T* from, std::int64_t stride, float* to, std::int64_t rows,
                                    std::int64_t columns) {
  for (std::int64_t first = 0; first < rows; first += kPanel, to += columns * kPanel) {
    const std::int64_t width = std::min(kPanel, rows - first);
    if (width < kPanel) std::memset(to, 0, static_cast<std::size_t>(columns * kPanel) * sizeof(float));
    for (std::int64_t i = 0; i < columns; ++i)
      for (std::int64_t j = 0; j < width; ++j) to[i * kPanel + j] = to_float(from[(first + j) * stride + i]);
  }
}

template <class T>
REGROUP_INLINE void widen(const T* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns,
                          float factor) {
  for (std::int64_t i = 0; i < rows; ++i)
    for_each_16(
        columns, [&](std::int64_t j, auto ld, auto st)
                     __attribute__((always_inline)) { st(to + i * columns + j, ld(from + i * stride + j) * factor); });
}

}  // namespace

REGROUP_CLONES void pack_panels(const float* from, std::int64_t stride, float* to, std::int64_t rows,
                                std::int64_t columns) {
  pack(from, stride, to, rows, columns);
}
REGROUP_CLONES void pack_panels(const bf16* from, std::int64_t stride, float* to, std::int64_t rows,
                                std::int64_t columns) {
  pack(from, stride, to, rows, columns);
}

REGROUP_CLONES void unpack_panels(const float* from, float* to, std::int64_t stride, std::int64_t rows,
                                  std::int64_t columns, const float* row_factor, float factor) {
  unpack(from, to, stride, rows, columns, row_factor, factor);
}
REGROUP_CLONES void unpack_panels(const float* from, bf16* to, std::int64_t stride, std::int64_t rows,
                                  std::int64_t columns, const float* row_factor, float factor) {
  unpack(from, to, stride, rows, columns, row_factor, factor);
}

REGROUP_CLONES void pack_transposed_panels(const float* from, std::int64_t stride, float* to, std::int64_t rows,
                                           std::int64_t columns) {
  pack_transposed(from, stride, to, rows, columns);
}
REGROUP_CLONES void pack_transposed_panels(const bf16* from, std::int64_t stride, float* to, std::int64_t rows,
                                           std::int64_t columns) {
  pack_transposed(from, stride, to, rows, columns);
}

REGROUP_CLONES void widen_rows(const float* from, std::int64_t stride, float* to, std::int64_t rows,
                               std::int64_t columns, float factor) {
  widen(from, stride, to, rows, columns, factor);
}
REGROUP_CLONES void widen_rows(const bf16* from, std::int64_t stride, float* to, std::int64_t rows,
                               std::int64_t columns, float factor) {
  widen(from, stride, to, rows, columns, factor);
}

}  // namespace regroup::ops
