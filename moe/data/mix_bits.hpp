// mix_bits.hpp: 64 bits in, 64 well stirred bits out; a bijection. Frozen. Private to moe/data.
#pragma once

#include <cstdint>

namespace regroup {

// Finalizer of MurmurHash3 (Appleby), 64 bit.
inline std::uint64_t mix_bits(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

}  // namespace regroup
