// vec16.hpp: 16 floats at a time, with the same bits on AVX-512, AVX2 and plain code. Inside moe/train/ops only.
//
// Element i of a row belongs to lane i % 16; lanes are joined in one order; nothing is contracted (the build forbids it), and fma() below is
// exact by definition. A function marked REGROUP_CLONES is compiled once per instruction set and picked when the program starts.
#pragma once

#include "moe/train/ops/bf16.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace regroup::ops {

// Sanitizers instrument the pickers, which run before the sanitizers are ready: one version then.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define REGROUP_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define REGROUP_CLONES
#endif
#define REGROUP_INLINE inline __attribute__((always_inline))

inline constexpr std::int64_t kLanes = 16;

using f32x16 = float __attribute__((vector_size(64)));
using i32x16 = std::int32_t __attribute__((vector_size(64)));
using u32x16 = std::uint32_t __attribute__((vector_size(64)));
using u16x16 = std::uint16_t __attribute__((vector_size(32)));
using f64x16 = double __attribute__((vector_size(128)));

REGROUP_INLINE f32x16 load(const float* p) {
  f32x16 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
REGROUP_INLINE void store(float* p, f32x16 v) { std::memcpy(p, &v, sizeof v); }
REGROUP_INLINE f32x16 load(const bf16* p) {
  u16x16 v;
  std::memcpy(&v, p, sizeof v);
  return std::bit_cast<f32x16>(__builtin_convertvector(v, u32x16) << 16);
}
REGROUP_INLINE void store(bf16* p, f32x16 v) {
  const auto bits = std::bit_cast<u32x16>(v);
  const u32x16 nearest = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const u16x16 out = __builtin_convertvector(v == v ? nearest : u32x16{} + 0x7fc0u, u16x16);
  std::memcpy(p, &out, sizeof out);
}

// The first n of 16; the other lanes are zero, or stay as they were in memory.
template <class T>
REGROUP_INLINE f32x16 load_part(const T* p, std::int64_t n) {
  f32x16 v = {};
  for (std::int64_t i = 0; i < n; ++i) v[i] = to_float(p[i]);
  return v;
}
template <class T>
REGROUP_INLINE void store_part(T* p, f32x16 v, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) p[i] = rounded_to<T>(v[i]);
}

REGROUP_INLINE f32x16 all(float x) { return f32x16{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
REGROUP_INLINE f32x16 larger(f32x16 a, f32x16 b) { return a > b ? a : b; }
REGROUP_INLINE f32x16 smaller(f32x16 a, f32x16 b) { return a < b ? a : b; }

// a * b + c, rounded once: on every machine.
REGROUP_INLINE f32x16 fma(f32x16 a, f32x16 b, f32x16 c) {
  f32x16 r;
  for (int i = 0; i < kLanes; ++i) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return r;
}

// Lanes joined in one order: halves onto each other.
template <class Vector>
REGROUP_INLINE auto sum(const Vector& v) {
  auto a0 = v[0] + v[8], a1 = v[1] + v[9], a2 = v[2] + v[10], a3 = v[3] + v[11], a4 = v[4] + v[12], a5 = v[5] + v[13], a6 = v[6] + v[14], a7 = v[7] + v[15];
  a0 += a4, a1 += a5, a2 += a6, a3 += a7;
  a0 += a2, a1 += a3;
  return a0 + a1;
}
REGROUP_INLINE float largest(f32x16 v) {
  float m = v[0];
  for (int i = 1; i < kLanes; ++i) m = v[i] > m ? v[i] : m;
  return m;
}

// exp(x) to about one unit in the last place for x in [-87.3, 88]; below that it stays at exp(-87.3), above at exp(88).
REGROUP_INLINE f32x16 exp(f32x16 x) {
  x = larger(smaller(x, all(88.0f)), all(-87.3f));
  const f32x16 shifted = x * 1.44269504088896341f + 12582912.0f;  // 1.5 * 2^23: the sum's low bits are the nearest integer
  const f32x16 n = shifted - 12582912.0f;
  const f32x16 r = fma(n, all(2.12194440e-4f), fma(n, all(-0.693359375f), x));
  f32x16 p = all(1.9875691500e-4f);
  p = fma(p, r, all(1.3981999507e-3f));
  p = fma(p, r, all(8.3334519073e-3f));
  p = fma(p, r, all(4.1665795894e-2f));
  p = fma(p, r, all(1.6666665459e-1f));
  p = fma(p, r, all(5.0000001201e-1f));
  p = fma(p, r * r, r + 1.0f);
  const i32x16 exponent = (std::bit_cast<i32x16>(shifted) - std::bit_cast<std::int32_t>(12582912.0f)) << 23;
  return std::bit_cast<f32x16>(std::bit_cast<i32x16>(p) + exponent);
}

// f(i, load, store) for each 16 elements of [0, n): whole vectors, then the rest through the _part forms.
template <class F>
REGROUP_INLINE void for_each_16(std::int64_t n, F&& f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, [](const auto* p) __attribute__((always_inline)) { return load(p); }, [](auto* p, f32x16 v) __attribute__((always_inline)) { store(p, v); });
  if (const std::int64_t rest = n - i; rest > 0)
    f(i, [rest](const auto* p) __attribute__((always_inline)) { return load_part(p, rest); }, [rest](auto* p, f32x16 v) __attribute__((always_inline)) { store_part(p, v, rest); });
}

}  // namespace regroup::ops
