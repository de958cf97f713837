// bf16.hpp: the upper half of an fp32 number, rounded to nearest even. Plain integers: the same bits on every machine;
// subnormal numbers stay.
#pragma once

#include <bit>
#include <cstdint>

namespace regroup::ops {

struct bf16 {
  std::uint16_t bits;
};

inline float to_float(float x) { return x; }
inline float to_float(bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16); }

template <class T>
inline T rounded_to(float x);
template <>
inline float rounded_to<float>(float x) {
  return x;
}
template <>
inline bf16 rounded_to<bf16>(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return {0x7fc0};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

}  // namespace regroup::ops
