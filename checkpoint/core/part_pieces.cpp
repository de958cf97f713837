#include "checkpoint/core/part_pieces.hpp"

#include <algorithm>
#include <tuple>

namespace regroup::checkpoint {

Result<std::vector<PartPiece>> pieces_of(const FilePlan& plan, const std::vector<PartEntry>& entries) {
  std::vector<PartPiece> pieces;
  for (const PartEntry& entry : entries) {
    if (entry.unit < 0 || entry.unit >= static_cast<int>(plan.units().size()) || entry.blocks.lo < 0 ||
        entry.blocks.lo > entry.blocks.hi || entry.blocks.hi > kBlocksPerUnit || entry.data == nullptr)
      return Error{Code::kBadInput, "checkpoint: unit " + std::to_string(entry.unit) + " blocks [" +
                                        std::to_string(entry.blocks.lo) + ", " + std::to_string(entry.blocks.hi) +
                                        ") are not part of this model"};
    const std::int64_t block_elements = plan.units()[static_cast<std::size_t>(entry.unit)].block_elements;
    const std::int64_t array_bytes = entry.blocks.size() * block_elements * 4;
    for (int array = 0; array < kStateArrays; ++array)
      for (const FileRange& range : plan.ranges(entry.unit, entry.blocks, static_cast<StateArray>(array)))
        pieces.push_back({range.file, range.offset, range.bytes,
                          entry.data + array * array_bytes + (range.element - entry.blocks.lo * block_elements) * 4,
                          range.rows, range.from});
  }
  std::sort(pieces.begin(), pieces.end(), [](const PartPiece& a, const PartPiece& b) {
    return std::tie(a.file, a.offset, a.from) < std::tie(b.file, b.offset, b.from);
  });
  for (std::size_t i = 1; i < pieces.size(); ++i)
    if (pieces[i].overlaps(pieces[i - 1]))
      return Error{Code::kBadInput, "checkpoint: a part holds the same blocks twice, at byte " +
                                        std::to_string(pieces[i].offset) + " of " +
                                        plan.files()[static_cast<std::size_t>(pieces[i].file)].name};
  return pieces;
}

}  // namespace regroup::checkpoint
