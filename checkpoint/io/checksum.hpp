// checksum.hpp: xxh3-64 of bytes that come in pieces, one value for each 64 KiB of the file. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace regroup {

std::uint64_t checksum(std::span<const std::byte> bytes);

// Checksums of one extent while it is copied.
class ExtentChecksums {
 public:
  ExtentChecksums();
  ~ExtentChecksums();
  void start(std::int64_t offset);
  // The next bytes of the extent.
  void update(std::span<const std::byte> bytes);
  std::vector<std::uint64_t> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace regroup
