// manifest.hpp: the record that makes a directory a checkpoint, and each writer's record of its part. Pure. On disk:
// frozen as "regroup-checkpoint/1".
//
// Every byte of every file belongs to a file's header or to exactly one extent: what one writer wrote. An extent is a
// run of bytes, or *strided*: a run of bytes in each of several rows, which lie `stride` bytes apart (one slice of an
// expert has columns of w2, and a file has a tensor row after row). An extent carries one xxh3-64 for each piece: of a
// run, what lies between file offsets that are multiples of 64 KiB; of a strided one, as many whole rows as 64 KiB
// hold, at least one. The first and last piece may be shorter, because writers' cuts fall on shard borders. The text
// ends with the xxh3-128 of all that stands before it.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "layout/bad_steps.hpp"
#include "layout/job_terms.hpp"
#include "layout/model_shape.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace regroup::checkpoint {

inline constexpr std::int64_t kChecksumBytes = 65536;
inline constexpr const char* kManifestName = "MANIFEST.json";

// What the state is. Equal for all parts of one save.
struct CheckpointInfo {
  std::string job;
  Epoch epoch;
  Step step;  // committed steps; also the position in the data
  std::uint64_t seed = 0;
  ModelShape shape;
  std::string fingerprint;                      // of the software that computed it
  std::string data_digest;                      // of the data's index
  std::int64_t max_file_bytes = 4'000'000'000;  // how the state is cut into files
  BadSteps bad;                                 // up to `step`
  friend bool operator==(const CheckpointInfo&, const CheckpointInfo&) = default;
};

// What makes an extent strided. Its bytes are counted row after row, as if nothing lay between. run 0: not strided.
struct FileRows {
  std::int64_t run = 0;
  std::int64_t stride = 0;  // from a row's run to the next row's
  [[nodiscard]] explicit operator bool() const { return run > 0; }
  // from the first row's run
  [[nodiscard]] std::int64_t place(std::int64_t byte) const { return byte / run * stride + byte % run; }
  [[nodiscard]] std::int64_t piece_rows() const { return run < kChecksumBytes ? kChecksumBytes / run : 1; }
  friend bool operator==(const FileRows&, const FileRows&) = default;
};

struct Extent {
  int file = 0;             // position in `files`
  std::int64_t offset = 0;  // strided: where its run of the first row starts
  std::int64_t bytes = 0;
  std::vector<std::uint64_t> checksums;  // num_pieces() of them
  FileRows rows = {};
  std::int64_t from = 0;  // strided: how many of the slice's bytes lie before this extent
  [[nodiscard]] std::int64_t first() const { return rows ? from : offset; }  // of its bytes, counted as pieces are
  [[nodiscard]] std::int64_t end() const { return first() + bytes; }
  [[nodiscard]] std::int64_t piece_bytes() const { return rows ? rows.piece_rows() * rows.run : kChecksumBytes; }
  [[nodiscard]] std::int64_t piece_of(std::int64_t byte) const { return byte / piece_bytes(); }
  [[nodiscard]] std::int64_t num_pieces() const { return bytes == 0 ? 0 : piece_of(end() - 1) - piece_of(first()) + 1; }
  friend bool operator==(const Extent&, const Extent&) = default;
};
// The order of extents in records and manifests.
bool lies_before(const Extent& a, const Extent& b);

struct ManifestFile {
  std::string name;
  std::int64_t bytes = 0;
  std::int64_t header_bytes = 0;
  std::uint64_t header_checksum = 0;  // xxh3-64 of the header
  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

struct Manifest {
  CheckpointInfo info;
  std::vector<ManifestFile> files;
  std::vector<Extent> extents;     // in order
  std::int64_t written_at_ms = 0;  // wall clock, for people
  TermsChain chain = {};           // which terms were in force from which step on
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

// One number for the blocks of a unit that somebody holds. Those of all who hold it together, added up, are the same
// whoever holds which of its blocks.
struct UnitSum {
  int unit = 0;
  std::uint64_t sum = 0;
  friend bool operator==(const UnitSum&, const UnitSum&) = default;
};

// What one writer did: part-<k>.json.
struct PartRecord {
  CheckpointInfo info;
  int part = 0;
  int num_parts = 0;
  std::vector<Extent> extents;  // in order
  // Every group of writers holds all of the state and writes some of it. What this writer holds; none: not known.
  int group = 0;
  std::optional<std::vector<UnitSum>> holds;
  friend bool operator==(const PartRecord&, const PartRecord&) = default;
};

std::string to_json(const Manifest& manifest);
std::string to_json(const PartRecord& record);
// The digest at the end of a manifest's text; empty: there is none. It names a checkpoint by its content.
std::string digest_in(std::string_view text);

// kCorrupt: not JSON, another format, a digest that does not match, extents out of order.
Result<Manifest> manifest_from_json(std::string_view text);
Result<PartRecord> part_record_from_json(std::string_view text);

}  // namespace regroup::checkpoint
