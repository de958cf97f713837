// checked_files.hpp: the open files of a checkpoint: their bytes past the page cache, their pieces verified against the
// checksums of their extents. One thread at a time.
//
// Errors: kCorrupt (names file and byte range), kUnavailable (I/O error).
#pragma once

#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/core/manifest.hpp"
#include "checkpoint/io/aligned_memory.hpp"

#include <span>
#include <string>
#include <vector>

namespace regroup::checkpoint {

// How much is read at once where pieces touch. A multiple of kChecksumBytes: no piece lies in two batches.
inline constexpr std::int64_t kBatchBytes = std::int64_t{4} << 20;

class CheckedFiles {
 public:
  explicit CheckedFiles(std::int64_t most_at_once);  // bytes of the largest read
  ~CheckedFiles();
  CheckedFiles(const CheckedFiles&) = delete;
  CheckedFiles& operator=(const CheckedFiles&) = delete;

  // Opens the planned files in that directory; checks their sizes and headers. Once.
  Result<void> open(const std::string& directory, std::span<const PlannedFile> all);

  // Bytes [lo, hi) of a file, at most most_at_once, unverified, valid until the next call.
  Result<std::span<const std::byte>> read_bytes(int file, std::int64_t lo, std::int64_t hi);
  // The verified bytes of pieces [first, end) of one extent, valid until the next call.
  Result<std::span<const std::byte>> read_pieces(const Extent& extent, std::int64_t first, std::int64_t end);
  // One piece of a strided extent, put together from `bytes`, which start at `offset` of the file and hold its rows,
  // and verified; valid until the next call.
  Result<std::span<const std::byte>> piece_of_strided(const Extent& extent, std::int64_t piece,
                                                      std::span<const std::byte> bytes, std::int64_t offset);

  [[nodiscard]] std::int64_t bytes_read() const { return bytes_read_; }  // headers included

 private:
  const std::int64_t most_at_once_;
  std::vector<std::string> paths_;
  std::vector<int> fds_;  // past the page cache where the file system can
  AlignedMemory buffer_;
  std::vector<std::byte> piece_;
  std::int64_t bytes_read_ = 0;
};

}  // namespace regroup::checkpoint
