#include "checkpoint/io/stored_floats.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace regroup::checkpoint {
namespace {

float from_half(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1Fu;
  const std::uint32_t fraction = bits & 0x3FFu;
  if (exponent == 0)
    return std::copysign(std::ldexp(static_cast<float>(fraction), -24), std::bit_cast<float>(sign | 0x3F800000u));
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

}  // namespace

std::int64_t bytes_of(const std::string& dtype) {
  return dtype == "F32" ? 4 : dtype == "BF16" || dtype == "F16" ? 2 : 0;
}

void widen(const std::string& dtype, const std::byte* from, std::span<float> into) {
  if (dtype == "F32") {
    std::memcpy(into.data(), from, into.size_bytes());
    return;
  }
  const bool is_bf16 = dtype == "BF16";
  for (std::size_t i = 0; i < into.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    into[i] = is_bf16 ? std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16) : from_half(bits);
  }
}

}  // namespace regroup::checkpoint
