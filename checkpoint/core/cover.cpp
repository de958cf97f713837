#include "checkpoint/core/cover.hpp"

#include <algorithm>
#include <string>

namespace regroup::checkpoint {
namespace {

Error corrupt(const std::string& what) { return {Code::kCorrupt, what}; }

Error not_once(const std::string& file, std::int64_t byte, bool twice) {
  return corrupt(file + ": byte " + std::to_string(byte) +
                 (twice ? " was written by two parts" : " was written by no part"));
}

// A tensor that slices share, whose first row starts at `at`: its strided extents, slice after slice, must have every
// byte of every row once. Where the tensor ends; `next` moves behind its extents.
Result<std::int64_t> end_of_strided(const std::string& file, std::int64_t at, const std::vector<Extent>& extents,
                                    std::size_t& next) {
  const Extent& first = extents[next];
  if (first.rows.stride % first.rows.run != 0) return corrupt(file + ": a row is no whole number of slices");
  std::int64_t whole = 0;  // bytes of each slice
  for (std::int64_t column = at; column < at + first.rows.stride; column += first.rows.run) {
    std::int64_t done = 0;
    for (; next < extents.size() && extents[next].file == first.file && extents[next].offset == column &&
           extents[next].rows == first.rows;
         ++next) {
      if (extents[next].from != done)
        return not_once(file, column + first.rows.place(std::min(done, extents[next].from)), extents[next].from < done);
      done += extents[next].bytes;
    }
    if (column == at) whole = done;
    if (done != whole || done % first.rows.run != 0)
      return not_once(file, column + first.rows.place(std::min(done, whole)), done > whole);
  }
  return at + whole / first.rows.run * first.rows.stride;
}

}  // namespace

Result<void> check_cover(const std::vector<ManifestFile>& files, const std::vector<Extent>& sorted_extents) {
  std::size_t next = 0;
  for (std::size_t f = 0; f < files.size(); ++f) {
    std::int64_t at = files[f].header_bytes;
    while (next < sorted_extents.size() && sorted_extents[next].file == static_cast<int>(f)) {
      const Extent& extent = sorted_extents[next];
      if (extent.offset != at) return not_once(files[f].name, std::min(at, extent.offset), extent.offset < at);
      if (extent.rows) {
        auto end = end_of_strided(files[f].name, at, sorted_extents, next);
        if (!end) return end.error();
        at = *end;
      } else {
        at += extent.bytes;
        ++next;
      }
    }
    if (at != files[f].bytes)
      return corrupt(files[f].name + (at < files[f].bytes ? ": byte " + std::to_string(at) + " was written by no part"
                                                          : std::string(": parts wrote beyond its end")));
  }
  if (next != sorted_extents.size()) return corrupt("parts wrote a file that the checkpoint does not have");
  return {};
}

}  // namespace regroup::checkpoint
