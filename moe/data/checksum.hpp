// checksum.hpp: XXH3-64: of a stream, as 16 hex digits; of one buffer, as a number. Private to moe/data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace regroup {

class Xxh3 {
 public:
  Xxh3();
  Xxh3(const Xxh3& other);
  Xxh3& operator=(const Xxh3& other);
  ~Xxh3();
  void add(const void* data, std::size_t size);
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::uint64_t xxh3(const void* data, std::size_t size);

// PREFIX.sums (frozen): xxh3 of each 64 KiB of PREFIX.bin, the last piece as long as it is; little-endian, 8 bytes
// each.
inline constexpr std::size_t kSummedBytes = std::size_t{64} << 10;

}  // namespace regroup
