// reader.hpp: reads any blocks of a complete checkpoint, verifying what it reads. One thread at a time per reader;
// several readers may share a directory.
//
// Errors: kNotFound (no manifest: not a checkpoint), kCorrupt (names file and byte range: use another source),
// kUnavailable (I/O error).
#pragma once

#include "checkpoint/core/file_plan.hpp"
#include "checkpoint/core/manifest.hpp"
#include "checkpoint/io/checked_files.hpp"
#include "checkpoint/io/file_stream.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace regroup::checkpoint {

class CheckpointReader {
 public:
  // Checks the manifest's digest, that it fits the plan of its shape, the files' sizes and headers.
  static Result<std::unique_ptr<CheckpointReader>> open(const std::string& directory);

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] const Manifest& manifest() const { return manifest_; }
  [[nodiscard]] const std::string& digest() const { return digest_; }  // of the manifest, and so of all that it names
  [[nodiscard]] const FilePlan& plan() const { return plan_; }

  // Fills every buffer: master, first and second moment of its blocks; padding becomes 0. Give all wanted blocks in one
  // call: each 64 KiB piece is then read once, in file order.
  Result<void> read(std::span<const PartBuffer> buffers);

  // One array only (weights alone): `into` holds blocks.size() * block_elements floats.
  Result<void> read(int unit, Interval blocks, StateArray array, std::span<float> into);

  // Calls `take` with the verified bytes of a file in order, header included. An error of `take` ends it.
  Result<void> stream_file(int file, const TakeBytes& take);

  // from files, headers and manifest included
  [[nodiscard]] std::int64_t bytes_read() const { return manifest_bytes_ + files_.bytes_read(); }

 private:
  struct Fragment;  // of one extent, inside one batch of whole pieces; of a strided one, inside one piece
  CheckpointReader(std::string directory, Manifest manifest, FilePlan plan);
  // Adds what of the file's range lies in which extent.
  Result<void> add_fragments(FileRange range, std::byte* into, std::vector<Fragment>& fragments) const;
  Result<void> read_fragments(std::vector<Fragment>& fragments);  // of both kinds
  Result<void> read_runs(std::span<Fragment> fragments);
  Result<void> read_strided(std::span<Fragment> fragments);

  std::string directory_;
  Manifest manifest_;
  std::string digest_;
  FilePlan plan_;
  CheckedFiles files_;
  std::int64_t manifest_bytes_ = 0;
};

}  // namespace regroup::checkpoint
