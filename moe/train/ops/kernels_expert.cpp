#include "moe/train/ops/kernels.hpp"
#include "moe/train/ops/vec16.hpp"

namespace regroup::ops {

REGROUP_CLONES void swiglu_rows(const float* hidden, float* act, std::int64_t n, std::int64_t f) {
  for (std::int64_t row = 0; row < n; ++row) {
    const float* a = hidden + row * 2 * f;
    const float* b = a + f;
    float* out = act + row * f;
    for_each_16(f, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
      const f32x16 gate = ld(a + j);
      st(out + j, gate * (1.0f / (1.0f + exp(-gate))) * ld(b + j));
    });
  }
}

// silu(a) = a s with s = sigmoid(a); its slope is s + silu(a) (1 - s).
REGROUP_CLONES void swiglu_rows_backward(const float* hidden, const float* dact, float* act, float* dhidden, std::int64_t n, std::int64_t f) {
  for (std::int64_t row = 0; row < n; ++row) {
    const float* a = hidden + row * 2 * f;
    const float* b = a + f;
    float* da = dhidden + row * 2 * f;
    float* db = da + f;
    const float* d = dact + row * f;
    float* out = act + row * f;
    for_each_16(f, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
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

REGROUP_CLONES void gather_rows(const float* x, const std::int64_t* index, float* out, std::int64_t n, std::int64_t h) {
  for (std::int64_t row = 0; row < n; ++row) std::memcpy(out + row * h, x + index[row] * h, static_cast<std::size_t>(h) * sizeof(float));
}

REGROUP_CLONES void combine_rows(const float* base, const float* y, const std::int64_t* index, const float* weight, float* out, std::int64_t n, std::int64_t k,
                                 std::int64_t h) {
  for (std::int64_t row = 0; row < n; ++row) {
    const std::int64_t* rows = index + row * k;
    const float* w = weight != nullptr ? weight + row * k : nullptr;
    for_each_16(h, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
      f32x16 joined = {};
      for (std::int64_t i = 0; i < k; ++i) {
        const f32x16 v = ld(y + rows[i] * h + j);
        joined += w != nullptr ? v * w[i] : v;
      }
      st(out + row * h + j, ld(base + row * h + j) + joined);
    });
  }
}

REGROUP_CLONES void combine_rows_backward(const float* dout, const float* y, const std::int64_t* index, const float* weight, float* dy, float* dweight,
                                          std::int64_t n, std::int64_t k, std::int64_t h) {
  for (std::int64_t i = 0; i < n * k; ++i) {
    const float* d = dout + i / k * h;
    const float* from = y + index[i] * h;
    float* to = dy + index[i] * h;
    const float w = weight[i];
    f32x16 products = {};
    for_each_16(h, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) {
      const f32x16 v = ld(d + j);
      products += v * ld(from + j);
      st(to + j, v * w);
    });
    dweight[i] = sum(products);
  }
}

}  // namespace regroup::ops
