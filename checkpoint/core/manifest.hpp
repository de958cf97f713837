// manifest.hpp: the record that makes a directory a checkpoint, and each writer's record of its part. Pure. On disk: frozen as "regroup-checkpoint/1".
//
// Every byte of every file belongs to exactly one extent (a run of bytes that one writer wrote) or to a file's header. An extent carries one xxh3-64 for each piece
// between file offsets that are multiples of 64 KiB; its first and last piece may be shorter, because writers' cuts fall on shard borders.
// The text ends with the xxh3-128 of all that stands before it.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "moe/layout/model_shape.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace regroup {

inline constexpr std::int64_t kChecksumBytes = 65536;
inline constexpr const char* kManifestName = "MANIFEST.json";

// What the state is. Equal for all parts of one save.
struct CheckpointInfo {
  std::string job;
  Epoch epoch;
  Step step;                  // committed steps; also the position in the data
  std::uint64_t seed = 0;
  ModelShape shape;
  std::string fingerprint;    // of the software that computed it
  std::string data_digest;    // of the data's index
  std::int64_t max_file_bytes = 4'000'000'000;   // how the state is cut into files
  friend bool operator==(const CheckpointInfo&, const CheckpointInfo&) = default;
};

struct Extent {
  int file = 0;               // position in `files`
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
  std::vector<std::uint64_t> checksums;   // num_pieces(offset, bytes) of them
  friend bool operator==(const Extent&, const Extent&) = default;
};

// Pieces that the 64 KiB borders of the file cut this range into.
constexpr std::int64_t num_pieces(std::int64_t offset, std::int64_t bytes) {
  return bytes == 0 ? 0 : (offset + bytes - 1) / kChecksumBytes - offset / kChecksumBytes + 1;
}

struct ManifestFile {
  std::string name;
  std::int64_t bytes = 0;
  std::int64_t header_bytes = 0;
  std::uint64_t header_checksum = 0;      // xxh3-64 of the header
  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

struct Manifest {
  CheckpointInfo info;
  std::vector<ManifestFile> files;
  std::vector<Extent> extents;            // ascending (file, offset)
  std::int64_t written_at_ms = 0;         // wall clock, for people
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// What one writer did: part-<k>.json.
struct PartRecord {
  CheckpointInfo info;
  int part = 0;
  int num_parts = 0;
  std::vector<Extent> extents;            // ascending (file, offset)
  friend bool operator==(const PartRecord&, const PartRecord&) = default;
};

std::string to_json(const Manifest& manifest);
std::string to_json(const PartRecord& record);
// kCorrupt: not JSON, another format, a digest that does not match, extents out of order.
Result<Manifest> manifest_from_json(std::string_view text);
Result<PartRecord> part_record_from_json(std::string_view text);

// kCorrupt unless the extents cover all data of all files, each byte once; names the file and the first byte that is missing or there twice.
Result<void> check_cover(const std::vector<ManifestFile>& files, const std::vector<Extent>& sorted_extents);

}  // namespace regroup
