// vec16.hpp: 16 floats at a time, with the same bits on AVX-512, AVX2 and plain code. Inside moe/ops only.
//
// Element i of a row belongs to lane i % 16; lanes are joined in one order; nothing is contracted (the build forbids
// it), and fma() below is exact by definition. A function marked REGROUP_CLONES is compiled once per instruction set
// and picked when the program starts.
#pragma once

#include "moe/ops/bf16.hpp"

#include <bit>
#include <cstdint>
#include <cstring>

namespace regroup::ops {

// Sanitizers instrument the pickers, which run before the sanitizers are ready: one version then.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define REGROUP_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define REGROUP_CLONES
#endif
#define REGROUP_INLINE inline __attribute__((always_inline))

inline constexpr std::int64_t kLanes = 16;

using f32x4 = float __attribute__((vector_size(16)));
using f32x8 = float __attribute__((vector_size(32)));
using i32x8 = std::int32_t __attribute__((vector_size(32)));
using u32x8 = std::uint32_t __attribute__((vector_size(32)));
using u16x8 = std::uint16_t __attribute__((vector_size(16)));
using f64x4 = double __attribute__((vector_size(32)));

// Two registers of AVX2. GCC keeps a vector that is wider than a register in memory: three times the time where there
// is no AVX-512.
struct f32x16 {
  f32x8 lo, hi;
};
REGROUP_INLINE f32x16 operator+(f32x16 a, f32x16 b) { return {a.lo + b.lo, a.hi + b.hi}; }
REGROUP_INLINE f32x16 operator-(f32x16 a, f32x16 b) { return {a.lo - b.lo, a.hi - b.hi}; }
REGROUP_INLINE f32x16 operator*(f32x16 a, f32x16 b) { return {a.lo * b.lo, a.hi * b.hi}; }
REGROUP_INLINE f32x16 operator/(f32x16 a, f32x16 b) { return {a.lo / b.lo, a.hi / b.hi}; }
REGROUP_INLINE f32x16 operator-(f32x16 a) { return {-a.lo, -a.hi}; }
REGROUP_INLINE f32x16& operator+=(f32x16& a, f32x16 b) { return a = a + b; }

template <class Vector>
inline constexpr std::int64_t lanes = sizeof(Vector) / sizeof(float);

template <class Vector>
REGROUP_INLINE Vector all_as(float x) {
  Vector v;
  for (int i = 0; i < lanes<Vector>; ++i) v[i] = x;
  return v;
}
REGROUP_INLINE f32x16 all(float x) { return {all_as<f32x8>(x), all_as<f32x8>(x)}; }
REGROUP_INLINE f32x16 operator+(f32x16 a, float b) { return a + all(b); }
REGROUP_INLINE f32x16 operator+(float a, f32x16 b) { return all(a) + b; }
REGROUP_INLINE f32x16 operator-(f32x16 a, float b) { return a - all(b); }
REGROUP_INLINE f32x16 operator-(float a, f32x16 b) { return all(a) - b; }
REGROUP_INLINE f32x16 operator*(f32x16 a, float b) { return a * all(b); }
REGROUP_INLINE f32x16 operator/(float a, f32x16 b) { return all(a) / b; }

template <class Vector, class T>
REGROUP_INLINE Vector load_as(const T* p) {
  Vector v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class Vector, class T>
REGROUP_INLINE void store_as(T* p, Vector v) {
  std::memcpy(p, &v, sizeof v);
}
REGROUP_INLINE f32x16 load(const float* p) { return {load_as<f32x8>(p), load_as<f32x8>(p + 8)}; }
REGROUP_INLINE void store(float* p, f32x16 v) { store_as(p, v.lo), store_as(p + 8, v.hi); }

REGROUP_INLINE f32x8 widened(u16x8 v) { return std::bit_cast<f32x8>(__builtin_convertvector(v, u32x8) << 16); }
REGROUP_INLINE u16x8 nearest(f32x8 v) {
  const auto bits = std::bit_cast<u32x8>(v);
  const u32x8 rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return __builtin_convertvector(v == v ? rounded : u32x8{} + 0x7fc0u, u16x8);
}
REGROUP_INLINE f32x16 load(const bf16* p) { return {widened(load_as<u16x8>(p)), widened(load_as<u16x8>(p + 8))}; }
REGROUP_INLINE void store(bf16* p, f32x16 v) { store_as(p, nearest(v.lo)), store_as(p + 8, nearest(v.hi)); }

// The first n of 16; the other lanes are zero, or stay as they were in memory.
template <class T>
REGROUP_INLINE f32x16 load_part(const T* p, std::int64_t n) {
  T all_16[kLanes] = {};
  std::memcpy(all_16, p, static_cast<std::size_t>(n) * sizeof(T));
  return load(all_16);
}
template <class T>
REGROUP_INLINE void store_part(T* p, f32x16 v, std::int64_t n) {
  T all_16[kLanes];
  store(all_16, v);
  std::memcpy(p, all_16, static_cast<std::size_t>(n) * sizeof(T));
}

REGROUP_INLINE f32x16 larger(f32x16 a, f32x16 b) { return {a.lo > b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi}; }
REGROUP_INLINE f32x16 smaller(f32x16 a, f32x16 b) { return {a.lo < b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi}; }

// a * b + c, rounded once: on every machine.
template <class Vector>
REGROUP_INLINE Vector fma(Vector a, Vector b, Vector c) {
  Vector r;
  for (int i = 0; i < lanes<Vector>; ++i) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return r;
}
REGROUP_INLINE f32x16 fma(f32x16 a, f32x16 b, f32x16 c) { return {fma(a.lo, b.lo, c.lo), fma(a.hi, b.hi, c.hi)}; }

// Lanes joined in one order: halves onto each other.
REGROUP_INLINE float sum(f32x16 v) {
  const f32x8 a = v.lo + v.hi;
  return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}
REGROUP_INLINE float largest(f32x16 v) {
  const f32x8 a = v.lo > v.hi ? v.lo : v.hi;
  float m = a[0];
  for (int i = 1; i < 8; ++i) m = a[i] > m ? a[i] : m;
  return m;
}

// p * 2^n, n in the low bits of `shifted`.
REGROUP_INLINE f32x8 scaled(f32x8 p, f32x8 shifted) {
  const i32x8 exponent = (std::bit_cast<i32x8>(shifted) - std::bit_cast<std::int32_t>(12582912.0f)) << 23;
  return std::bit_cast<f32x8>(std::bit_cast<i32x8>(p) + exponent);
}

// exp(x) to about one unit in the last place for x in [-87.3, 88]; below that it stays at exp(-87.3), above at exp(88).
REGROUP_INLINE f32x16 exp(f32x16 x) {
  x = larger(smaller(x, all(88.0f)), all(-87.3f));
  // 1.5 * 2^23: the sum's low bits are the nearest integer
  const f32x16 shifted = x * 1.44269504088896341f + 12582912.0f;
  const f32x16 n = shifted - 12582912.0f;
  const f32x16 r = fma(n, all(2.12194440e-4f), fma(n, all(-0.693359375f), x));
  f32x16 p = all(1.9875691500e-4f);
  p = fma(p, r, all(1.3981999507e-3f));
  p = fma(p, r, all(8.3334519073e-3f));
  p = fma(p, r, all(4.1665795894e-2f));
  p = fma(p, r, all(1.6666665459e-1f));
  p = fma(p, r, all(5.0000001201e-1f));
  p = fma(p, r * r, r + 1.0f);
  return {scaled(p.lo, shifted.lo), scaled(p.hi, shifted.hi)};
}

// f(i, load, store) for each 16 elements of [0, n): whole vectors, then the rest through the _part forms.
template <class F>
REGROUP_INLINE void for_each_16(std::int64_t n, F&& f) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    f(
        i, [](const auto* p) __attribute__((always_inline)) { return load(p); },
        [](auto* p, f32x16 v) __attribute__((always_inline)) { store(p, v); });
  if (const std::int64_t rest = n - i; rest > 0)
    f(
        i, [rest](const auto* p) __attribute__((always_inline)) { return load_part(p, rest); },
        [rest](auto* p, f32x16 v) __attribute__((always_inline)) { store_part(p, v, rest); });
}

}  // namespace regroup::ops
