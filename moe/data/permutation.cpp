#include "base/check.hpp"
#include "moe/data/dataset.hpp"
#include "moe/data/mix_bits.hpp"

#include <algorithm>
#include <bit>

namespace regroup {
// A Feistel network over the smallest even number of bits that holds n, walked until it lands below n (Black and
// Rogaway, "Ciphers with arbitrary finite domains", 2002): a bijection of a set onto itself, restricted to a part by
// following its cycles, is a bijection of the part. At most 4 n values: fewer than four walks on average.
std::uint64_t permute(std::uint64_t index, std::uint64_t n, std::uint64_t seed, std::uint64_t data_epoch) {
  CHECK(index < n, "index", index, "of", n);
  const int half = std::max(1, (static_cast<int>(std::bit_width(n - 1)) + 1) / 2);
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  const std::uint64_t key = mix_bits(mix_bits(seed ^ 0x64617461) + data_epoch * 0x9e3779b97f4a7c15ULL);
  do {
    std::uint64_t left = index >> half, right = index & mask;
    for (std::uint64_t round = 0; round < 8; ++round) {
      const std::uint64_t next = left ^ (mix_bits(right ^ mix_bits(key + round)) & mask);
      left = right;
      right = next;
    }
    index = (left << half) | right;
  } while (index >= n);
  return index;
}

}  // namespace regroup
