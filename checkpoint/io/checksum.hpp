// checksum.hpp: xxh3-64 of bytes that come bit by bit, one value for each piece of an extent. One thread.
#pragma once

#include "checkpoint/core/manifest.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace regroup::checkpoint {

std::uint64_t checksum(std::span<const std::byte> bytes);

// Checksums of one extent while it is copied.
class ExtentChecksums {
 public:
  ExtentChecksums();
  ~ExtentChecksums();
  void start(const Extent& extent);
  // The next bytes of the extent.
  void update(std::span<const std::byte> bytes);
  std::vector<std::uint64_t> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace regroup::checkpoint
