// part_pieces.hpp: where the bytes of one owner's part lie, in memory and in files. Pure.
#pragma once

#include "checkpoint/core/file_plan.hpp"

namespace regroup::checkpoint {

// `bytes` of file `file` from `offset` (of a strided range: from the `from`th byte of the slice on, see FileRange) come
// from `memory`.
struct PartPiece {
  int file = 0;
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
  const std::byte* memory = nullptr;
  FileRows rows = {};
  std::int64_t from = 0;
  [[nodiscard]] bool continues(const PartPiece& before) const {
    return file == before.file && !rows && !before.rows && offset == before.offset + before.bytes;
  }
  [[nodiscard]] bool overlaps(const PartPiece& before) const {
    if (file != before.file || static_cast<bool>(rows) != static_cast<bool>(before.rows)) return false;
    return rows ? offset == before.offset && from < before.from + before.bytes : offset < before.offset + before.bytes;
  }
};

// In the order of the files. kBadInput: blocks that the model does not have, or that are there twice.
Result<std::vector<PartPiece>> pieces_of(const FilePlan& plan, const std::vector<PartEntry>& entries);

}  // namespace regroup::checkpoint
