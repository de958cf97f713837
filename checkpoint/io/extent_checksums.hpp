// extent_checksums.hpp: xxh3-64 of a buffer, and of an extent that is handed over in parts: one value for each of its
// pieces. One thread.
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
