#include "moe/ops/kernels.hpp"
#include "moe/ops/vec16.hpp"

namespace regroup::ops {

namespace {

template <class T>
REGROUP_INLINE void swiglu(const T* hidden, T* act, std::int64_t n, std::int64_t f) {
  for (std::int64_t row = 0; row < n; ++row) {
    const T* a = hidden + row * 2 * f;
    const T* b = a + f;
    T* out = act + row * f;
    for_each_16(
        f, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
          const f32x16 gate = ld(a + j);
          st(out + j, gate * (1.0f / (1.0f + exp(-gate))) * ld(b + j));
        });
  }
}

// silu(a) = a s with s = sigmoid(a); its slope is s + silu(a) (1 - s).
template <class T>
REGROUP_INLINE void swiglu_backward(const T* hidden, const T* dact, T* act, T* dhidden, std::int64_t n,
                                    std::int64_t f) {
  for (std::int64_t row = 0; row < n; ++row) {
    const T* a = hidden + row * 2 * f;
    const T* b = a + f;
    T* da = dhidden + row * 2 * f;
    T* db = da + f;
    const T* d = dact + row * f;
    T* out = act + row * f;
    for_each_16(
        f, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
          const f32x16 gate = ld(a + j);
          const f32x16 up = ld(b + j);
          const f32x16 upstream = ld(d + j);
          const f32x16 sigmoid = 1.0f / (1.0f + exp(-gate));
          const f32x16 silu = gate * sigmoid;
          st(out + j, silu * up);
          st(da + j, upstream * up * (sigmoid + silu * (1.0f - sigmoid)));
          st(db + j, upstream * silu);
        });
  }
}

template <class T>
REGROUP_INLINE void add_all(T* y, const T* more, std::int64_t slices, std::int64_t n) {
  for_each_16(
      n, [&](std::int64_t i, auto ld, auto st) __attribute__((always_inline)) {
        f32x16 joined = ld(y + i);
        for (std::int64_t s = 0; s < slices; ++s) joined += ld(more + s * n + i);
        st(y + i, joined);
      });
}

template <class B, class T>
REGROUP_INLINE void combine(const B* base, const T* y, const std::int64_t* index, const float* weight, B* out,
                            std::int64_t n, std::int64_t k, std::int64_t h) {
  for (std::int64_t row = 0; row < n; ++row) {
    const std::int64_t* rows = index + row * k;
    const float* w = weight != nullptr ? weight + row * k : nullptr;
    for_each_16(
        h, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
          f32x16 joined = {};
          for (std::int64_t i = 0; i < k; ++i) {
            const f32x16 v = ld(y + rows[i] * h + j);
            joined += w != nullptr ? v * w[i] : v;
          }
          st(out + row * h + j, ld(base + row * h + j) + joined);
        });
  }
}

template <class T>
REGROUP_INLINE void combine_backward(const T* dout, const T* y, const std::int64_t* index, const float* weight, T* dy,
                                     float* dweight, std::int64_t n, std::int64_t k, std::int64_t h) {
  for (std::int64_t i = 0; i < n * k; ++i) {
    const T* d = dout + i / k * h;
    const T* from = y + index[i] * h;
    T* to = dy + index[i] * h;
    const float w = weight[i];
    f32x16 products = {};
    for_each_16(
        h, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
          const f32x16 v = ld(d + j);
          products += v * ld(from + j);
          st(to + j, v * w);
        });
    dweight[i] = sum(products);
  }
}

}  // namespace

REGROUP_CLONES void swiglu_rows(const float* hidden, float* act, std::int64_t n, std::int64_t f) {
  swiglu(hidden, act, n, f);
}
REGROUP_CLONES void swiglu_rows(const bf16* hidden, bf16* act, std::int64_t n, std::int64_t f) {
  swiglu(hidden, act, n, f);
}

REGROUP_CLONES void swiglu_rows_backward(const float* hidden, const float* dact, float* act, float* dhidden,
                                         std::int64_t n, std::int64_t f) {
  swiglu_backward(hidden, dact, act, dhidden, n, f);
}
REGROUP_CLONES void swiglu_rows_backward(const bf16* hidden, const bf16* dact, bf16* act, bf16* dhidden, std::int64_t n,
                                         std::int64_t f) {
  swiglu_backward(hidden, dact, act, dhidden, n, f);
}

REGROUP_CLONES void add_slices(float* y, const float* more, std::int64_t slices, std::int64_t n) {
  add_all(y, more, slices, n);
}
REGROUP_CLONES void add_slices(bf16* y, const bf16* more, std::int64_t slices, std::int64_t n) {
  add_all(y, more, slices, n);
}

void gather_rows(const void* x, const std::int64_t* index, void* out, std::int64_t n, std::int64_t row_bytes) {
  for (std::int64_t row = 0; row < n; ++row)
    std::memcpy(static_cast<char*>(out) + row * row_bytes, static_cast<const char*>(x) + index[row] * row_bytes,
                static_cast<std::size_t>(row_bytes));
}

REGROUP_CLONES void combine_rows(const float* base, const float* y, const std::int64_t* index, const float* weight,
                                 float* out, std::int64_t n, std::int64_t k, std::int64_t h) {
  combine(base, y, index, weight, out, n, k, h);
}
REGROUP_CLONES void combine_rows(const bf16* base, const bf16* y, const std::int64_t* index, const float* weight,
                                 bf16* out, std::int64_t n, std::int64_t k, std::int64_t h) {
  combine(base, y, index, weight, out, n, k, h);
}
REGROUP_CLONES void combine_rows(const float* base, const bf16* y, const std::int64_t* index, const float* weight,
                                 float* out, std::int64_t n, std::int64_t k, std::int64_t h) {
  combine(base, y, index, weight, out, n, k, h);
}

REGROUP_CLONES void combine_rows_backward(const float* dout, const float* y, const std::int64_t* index,
                                          const float* weight, float* dy, float* dweight, std::int64_t n,
                                          std::int64_t k, std::int64_t h) {
  combine_backward(dout, y, index, weight, dy, dweight, n, k, h);
}
REGROUP_CLONES void combine_rows_backward(const bf16* dout, const bf16* y, const std::int64_t* index,
                                          const float* weight, bf16* dy, float* dweight, std::int64_t n, std::int64_t k,
                                          std::int64_t h) {
  combine_backward(dout, y, index, weight, dy, dweight, n, k, h);
}

}  // namespace regroup::ops
