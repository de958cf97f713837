#include "checkpoint/io/file_stream.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace regroup::checkpoint {
namespace {

// The strided extents of the tensor that extents[0] begins: those that start in its first row. The order of a manifest
// (file, offset, from) puts them one after the other: slice after slice, because a slice's offset is where its run of
// the first row starts, and within a slice from its first byte on. check_cover has refused a manifest with anything
// else; checked again here because a stream that leaves bytes out, or gives them unverified, would be silent.
std::span<const Extent> same_tensor_from(std::span<const Extent> extents) {
  const Extent& first = extents.front();
  std::size_t count = 0;
  std::int64_t slice_at = first.offset, slice_bytes = 0, done = 0;  // slice_bytes: 0 until the first slice has ended
  for (; count < extents.size() && extents[count].file == first.file &&
         extents[count].offset < first.offset + first.rows.stride;
       ++count) {
    const Extent& extent = extents[count];
    if (extent.offset != slice_at) {  // the next slice
      CHECK(extent.offset == slice_at + first.rows.run && (slice_bytes == 0 || done == slice_bytes), "slice at",
            extent.offset);
      slice_bytes = done;
      slice_at = extent.offset;
      done = 0;
    }
    CHECK(extent.rows == first.rows && extent.from == done, "extent at", extent.offset, "from", extent.from);
    done = extent.end();
  }
  CHECK(slice_at + first.rows.run == first.offset + first.rows.stride && (slice_bytes == 0 || done == slice_bytes),
        "slices end at", slice_at + first.rows.run);
  return extents.first(count);
}

// The bytes of one tensor lie in the file row after row, and each row holds a run of every slice. So a stream in file
// order reads whole rows, and verifies for each slice the piece that these rows are. That works because the pieces of
// all slices end at the same rows: a piece's rows follow from the run alone, and all slices have the same run.
Result<void> stream_strided(CheckedFiles& files, std::span<const Extent> tensor, const TakeBytes& take) {
  const Extent& first = tensor.front();
  const FileRows& rows = first.rows;
  const std::int64_t num_rows = tensor.back().end() / rows.run;  // the last extent ends its slice
  for (std::int64_t row = 0; row < num_rows; row += rows.piece_rows()) {
    const std::int64_t end = std::min(num_rows, row + rows.piece_rows());
    const std::int64_t lo = first.offset + row * rows.stride;
    auto bytes = files.read_bytes(first.file, lo, first.offset + end * rows.stride);
    if (!bytes) return bytes.error();
    for (const Extent& extent : tensor) {
      if (extent.end() <= row * rows.run || extent.from >= end * rows.run) continue;
      if (auto piece = files.piece_of_strided(extent, row / rows.piece_rows(), *bytes, lo); !piece)
        return piece.error();
    }
    if (auto ok = take(*bytes); !ok) return ok;
  }
  return {};
}

}  // namespace

Result<void> stream_data(CheckedFiles& files, const std::vector<Extent>& extents, int file, const TakeBytes& take) {
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const Extent& extent = extents[i];
    if (extent.file != file) continue;
    if (extent.rows) {
      const auto tensor = same_tensor_from(std::span(extents).subspan(i));
      if (auto ok = stream_strided(files, tensor, take); !ok) return ok;
      i += tensor.size() - 1;
      continue;
    }
    const std::int64_t end = extent.piece_of(extent.end() - 1) + 1;
    for (std::int64_t piece = extent.piece_of(extent.offset); piece < end;) {
      const std::int64_t next = std::min(end, piece + kBatchBytes / kChecksumBytes);
      auto bytes = files.read_pieces(extent, piece, next);
      if (!bytes) return bytes.error();
      if (auto ok = take(*bytes); !ok) return ok;
      piece = next;
    }
  }
  return {};
}

}  // namespace regroup::checkpoint
