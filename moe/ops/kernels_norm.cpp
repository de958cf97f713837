#include "moe/ops/kernels.hpp"
#include "moe/ops/vec16.hpp"

#include <cmath>
#include <cstring>

namespace regroup::ops {

namespace {

template <class T>
REGROUP_INLINE void norm(const T* x, const float* weight, T* y, float* rstd, std::int64_t n, std::int64_t h,
                         float eps) {
  for (std::int64_t row = 0; row < n; ++row, x += h, y += h) {
    f32x16 squares = {};
    for_each_16(
        h, [&](std::int64_t j, auto ld, auto) __attribute__((always_inline)) {
          const f32x16 v = ld(x + j);
          squares += v * v;
        });
    const float r = 1.0f / std::sqrt(sum(squares) / static_cast<float>(h) + eps);
    rstd[row] = r;
    for_each_16(
        h, [&](std::int64_t j, auto ld, auto st)
               __attribute__((always_inline)) { st(y + j, ld(x + j) * r * ld(weight + j)); });
  }
}

// With g = dy * weight and xhat = x * rstd: dx = rstd * (g - xhat * mean(g * xhat)).
template <class T, class D>
REGROUP_INLINE void norm_backward(const D* dy, const T* x, const float* weight, const float* rstd, const T* residual,
                                  T* dx, float* dweight, std::int64_t n, std::int64_t h) {
  std::memset(dweight, 0, static_cast<std::size_t>(h) * sizeof(float));
  for (std::int64_t row = 0; row < n; ++row) {
    const std::int64_t at = row * h;
    const float r = rstd[row];
    f32x16 products = {};
    for_each_16(
        h, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
          const f32x16 g = ld(dy + at + j);
          const f32x16 xhat = ld(x + at + j) * r;
          products += g * ld(weight + j) * xhat;
          st(dweight + j, ld(dweight + j) + g * xhat);
        });
    const float mean = sum(products) / static_cast<float>(h);
    for_each_16(
        h, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
          const f32x16 d = (ld(dy + at + j) * ld(weight + j) - ld(x + at + j) * r * mean) * r;
          st(dx + at + j, residual != nullptr ? ld(residual + at + j) + d : d);
        });
  }
}

template <class T>
REGROUP_INLINE void rotate(T* x, std::int64_t stride, const float* cos, const float* sin, std::int64_t n,
                           std::int64_t length, std::int64_t heads, std::int64_t head_dim, float sign) {
  const std::int64_t half = head_dim / 2;
  for (std::int64_t row = 0; row < n; ++row) {
    const float* c = cos + (row % length) * half;
    const float* s = sin + (row % length) * half;
    for (std::int64_t head = 0; head < heads; ++head) {
      T* a = x + row * stride + head * head_dim;
      T* b = a + half;
      for_each_16(
          half, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
            const f32x16 first = ld(a + j);
            const f32x16 second = ld(b + j);
            const f32x16 turn = ld(s + j) * sign;
            st(a + j, first * ld(c + j) - second * turn);
            st(b + j, second * ld(c + j) + first * turn);
          });
    }
  }
}

}  // namespace

REGROUP_CLONES void rms_norm_rows(const float* x, const float* weight, float* y, float* rstd, std::int64_t n,
                                  std::int64_t h, float eps) {
  norm(x, weight, y, rstd, n, h, eps);
}
REGROUP_CLONES void rms_norm_rows(const bf16* x, const float* weight, bf16* y, float* rstd, std::int64_t n,
                                  std::int64_t h, float eps) {
  norm(x, weight, y, rstd, n, h, eps);
}

REGROUP_CLONES void rms_norm_rows_backward(const float* dy, const float* x, const float* weight, const float* rstd,
                                           const float* residual, float* dx, float* dweight, std::int64_t n,
                                           std::int64_t h) {
  norm_backward(dy, x, weight, rstd, residual, dx, dweight, n, h);
}
REGROUP_CLONES void rms_norm_rows_backward(const bf16* dy, const bf16* x, const float* weight, const float* rstd,
                                           const bf16* residual, bf16* dx, float* dweight, std::int64_t n,
                                           std::int64_t h) {
  norm_backward(dy, x, weight, rstd, residual, dx, dweight, n, h);
}
REGROUP_CLONES void rms_norm_rows_backward(const float* dy, const bf16* x, const float* weight, const float* rstd,
                                           const bf16* residual, bf16* dx, float* dweight, std::int64_t n,
                                           std::int64_t h) {
  norm_backward(dy, x, weight, rstd, residual, dx, dweight, n, h);
}

REGROUP_CLONES void rotate_rows(float* x, std::int64_t stride, const float* cos, const float* sin, std::int64_t n,
                                std::int64_t length, std::int64_t heads, std::int64_t head_dim, float sign) {
  rotate(x, stride, cos, sin, n, length, heads, head_dim, sign);
}
REGROUP_CLONES void rotate_rows(bf16* x, std::int64_t stride, const float* cos, const float* sin, std::int64_t n,
                                std::int64_t length, std::int64_t heads, std::int64_t head_dim, float sign) {
  rotate(x, stride, cos, sin, n, length, heads, head_dim, sign);
}

}  // namespace regroup::ops
