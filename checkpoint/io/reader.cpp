#include "checkpoint/io/reader.hpp"

#include "base/check.hpp"
#include "checkpoint/core/cover.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace regroup::checkpoint {
namespace {

// What must be in memory at once: a batch, or the rows of one piece of the widest tensor that slices share.
std::int64_t most_at_once(const FilePlan& plan) {
  std::int64_t most = kBatchBytes;
  for (const Unit& unit : plan.units())
    if (unit.is_expert())
      for (const FileRange& range : plan.ranges(unit.index, {0, kBlocksPerUnit}, StateArray::kMaster))
        if (range.rows) most = std::max(most, range.rows.piece_rows() * range.rows.stride);
  return most;
}

}  // namespace

struct CheckpointReader::Fragment {
  const Extent* extent = nullptr;
  std::int64_t offset = 0;  // in the file; of a strided extent: in the slice's bytes
  std::int64_t bytes = 0;
  std::byte* into = nullptr;
  [[nodiscard]] std::int64_t batch() const { return offset / kBatchBytes; }
  [[nodiscard]] std::int64_t piece() const { return extent->piece_of(offset); }
  // Of a strided extent: what of the file its piece lies in.
  [[nodiscard]] std::int64_t place() const {
    return extent->offset + extent->rows.place(std::max(extent->from, piece() * extent->piece_bytes()));
  }
  [[nodiscard]] std::int64_t place_end() const {
    return extent->offset + extent->rows.place(std::min(extent->end(), (piece() + 1) * extent->piece_bytes()) - 1) + 1;
  }
};

CheckpointReader::CheckpointReader(std::string directory, Manifest manifest, FilePlan plan)
    : directory_(std::move(directory)),
      manifest_(std::move(manifest)),
      plan_(std::move(plan)),
      files_(most_at_once(plan_)) {}

Result<std::unique_ptr<CheckpointReader>> CheckpointReader::open(const std::string& directory) {
  const std::string manifest_path = directory + "/" + kManifestName;
  auto text = read_small_file(manifest_path);
  if (!text)
    return text.error().code == Code::kNotFound
               ? Error{Code::kNotFound, directory + " has no " + kManifestName + ": it is no complete checkpoint"}
               : text.error();
  auto manifest = manifest_from_json(*text);
  if (!manifest) return Error{manifest.error().code, manifest_path + " " + manifest.error().context};
  auto plan = FilePlan::make(manifest->info.shape, manifest->info.max_file_bytes);
  if (!plan) return plan.error().within(manifest_path);
  if (plan->files().size() != manifest->files.size())
    return Error{Code::kCorrupt, manifest_path + " lists " + std::to_string(manifest->files.size()) +
                                     " files for a model of " + std::to_string(plan->files().size())};
  for (std::size_t i = 0; i < plan->files().size(); ++i) {
    const PlannedFile& planned = plan->files()[i];
    const ManifestFile& listed = manifest->files[i];
    if (planned.name != listed.name || planned.bytes != listed.bytes ||
        static_cast<std::int64_t>(planned.header.size()) != listed.header_bytes)
      return Error{Code::kCorrupt, manifest_path + " lists " + listed.name + " with other sizes than its model has"};
  }
  if (auto ok = check_cover(manifest->files, manifest->extents); !ok) return ok.error().within(manifest_path);
  std::unique_ptr<CheckpointReader> reader(new CheckpointReader(directory, std::move(*manifest), std::move(*plan)));
  reader->digest_ = digest_in(*text);
  reader->manifest_bytes_ = static_cast<std::int64_t>(text->size());
  if (auto ok = reader->files_.open(directory, reader->plan_.files()); !ok) return ok.error();
  return reader;
}

Result<void> CheckpointReader::add_fragments(FileRange range, std::byte* into, std::vector<Fragment>& fragments) const {
  // The extents cover every data byte once (checked when opened), so the one that holds the first byte is the last that
  // starts at or before it.
  auto extent = std::upper_bound(
      manifest_.extents.begin(), manifest_.extents.end(), std::tuple(range.file, range.offset, range.from),
      [](const auto& key, const Extent& e) { return key < std::tuple(e.file, e.offset, e.from); });
  CHECK(extent != manifest_.extents.begin());
  const std::int64_t batch = range.rows ? range.rows.piece_rows() * range.rows.run : kBatchBytes;
  std::int64_t at = range.rows ? range.from : range.offset;
  for (--extent; range.bytes > 0; ++extent) {
    if (extent->rows != range.rows || extent->file != range.file || (range.rows && extent->offset != range.offset))
      return Error{Code::kCorrupt, directory_ + "/" + kManifestName + " does not cut " +
                                       manifest_.files[static_cast<std::size_t>(range.file)].name +
                                       " as its model's slices do"};
    std::int64_t left = std::min(range.bytes, extent->end() - at);
    while (left > 0) {
      const std::int64_t now = std::min(left, batch - at % batch);
      fragments.push_back({&*extent, at, now, into});
      at += now;
      range.bytes -= now;
      into += now;
      left -= now;
    }
  }
  return {};
}

Result<void> CheckpointReader::read_fragments(std::vector<Fragment>& fragments) {
  const auto strided =
      std::partition(fragments.begin(), fragments.end(), [](const Fragment& f) { return !f.extent->rows; });
  if (auto ok = read_runs({fragments.begin(), strided}); !ok) return ok;
  return read_strided({strided, fragments.end()});
}

Result<void> CheckpointReader::read_runs(std::span<Fragment> fragments) {
  std::sort(fragments.begin(), fragments.end(), [](const Fragment& a, const Fragment& b) {
    return std::tie(a.extent->file, a.offset) < std::tie(b.extent->file, b.offset);
  });
  // Fragments whose pieces touch, in one extent and one batch, are read together.
  const auto group_end = [&](std::size_t i) {
    std::size_t end = i + 1;
    const auto last_of = [](const Fragment& f) { return f.extent->piece_of(f.offset + f.bytes - 1); };
    std::int64_t last_piece = last_of(fragments[i]);
    while (end < fragments.size() && fragments[end].extent == fragments[i].extent &&
           fragments[end].batch() == fragments[i].batch() && fragments[end].piece() <= last_piece + 1) {
      last_piece = std::max(last_piece, last_of(fragments[end]));
      ++end;
    }
    return std::pair(end, last_piece + 1);
  };
  for (std::size_t i = 0; i < fragments.size();) {
    const auto [end, end_piece] = group_end(i);
    const Extent& extent = *fragments[i].extent;
    const std::int64_t first_piece = fragments[i].piece();
    auto bytes = files_.read_pieces(extent, first_piece, end_piece);
    if (!bytes) return bytes.error();
    const std::int64_t lo = std::max(extent.offset, first_piece * kChecksumBytes);
    for (; i < end; ++i)
      std::memcpy(fragments[i].into, bytes->data() + (fragments[i].offset - lo),
                  static_cast<std::size_t>(fragments[i].bytes));
  }
  return {};
}

// Rows are short, so what lies between a slice's runs is read with them, and whoever wants several slices of an expert
// gets them from one read.
Result<void> CheckpointReader::read_strided(std::span<Fragment> fragments) {
  std::sort(fragments.begin(), fragments.end(), [](const Fragment& a, const Fragment& b) {
    return std::tuple(a.extent->file, a.place(), a.offset) < std::tuple(b.extent->file, b.place(), b.offset);
  });
  for (std::size_t i = 0; i < fragments.size();) {
    const int file = fragments[i].extent->file;
    const std::int64_t lo = fragments[i].place();
    std::int64_t hi = fragments[i].place_end();
    std::size_t end = i + 1;
    for (;
         end < fragments.size() && fragments[end].extent->file == file &&
         std::max(hi, fragments[end].place_end()) - lo <= kBatchBytes && fragments[end].place() <= hi + kChecksumBytes;
         ++end)
      hi = std::max(hi, fragments[end].place_end());
    auto bytes = files_.read_bytes(file, lo, hi);
    if (!bytes) return bytes.error();
    for (; i < end; ++i) {
      const Fragment& fragment = fragments[i];
      auto piece = files_.piece_of_strided(*fragment.extent, fragment.piece(), *bytes, lo);
      if (!piece) return piece.error();
      const std::int64_t first = std::max(fragment.extent->from, fragment.piece() * fragment.extent->piece_bytes());
      std::memcpy(fragment.into, piece->data() + (fragment.offset - first), static_cast<std::size_t>(fragment.bytes));
    }
  }
  return {};
}

namespace {

Error no_such_blocks(int unit, Interval blocks) {
  return {Code::kBadInput, "checkpoint: unit " + std::to_string(unit) + " blocks [" + std::to_string(blocks.lo) + ", " +
                               std::to_string(blocks.hi) + ") are not part of this model"};
}

bool valid(const FilePlan& plan, int unit, Interval blocks) {
  return unit >= 0 && unit < static_cast<int>(plan.units().size()) && blocks.lo >= 0 && blocks.lo <= blocks.hi &&
         blocks.hi <= kBlocksPerUnit;
}

// Zeroes what no range fills: padding between and behind tensors.
void clear_padding(const std::vector<FileRange>& ranges, std::int64_t first_element, std::int64_t elements,
                   std::byte* into) {
  std::int64_t at = first_element;
  for (const FileRange& range : ranges) {
    std::memset(into + (at - first_element) * 4, 0, static_cast<std::size_t>((range.element - at) * 4));
    at = range.element + range.bytes / 4;
  }
  std::memset(into + (at - first_element) * 4, 0, static_cast<std::size_t>((first_element + elements - at) * 4));
}

}  // namespace

Result<void> CheckpointReader::read(std::span<const PartBuffer> buffers) {
  std::vector<Fragment> fragments;
  for (const PartBuffer& buffer : buffers) {
    if (!valid(plan_, buffer.unit, buffer.blocks)) return no_such_blocks(buffer.unit, buffer.blocks);
    const std::int64_t block_elements = plan_.units()[static_cast<std::size_t>(buffer.unit)].block_elements;
    const std::int64_t first = buffer.blocks.lo * block_elements;
    const std::int64_t elements = buffer.blocks.size() * block_elements;
    for (int array = 0; array < kStateArrays; ++array) {
      std::byte* into = buffer.data + array * elements * 4;
      const auto ranges = plan_.ranges(buffer.unit, buffer.blocks, static_cast<StateArray>(array));
      clear_padding(ranges, first, elements, into);
      for (const FileRange& range : ranges)
        if (auto ok = add_fragments(range, into + (range.element - first) * 4, fragments); !ok) return ok;
    }
  }
  return read_fragments(fragments);
}

Result<void> CheckpointReader::read(int unit, Interval blocks, StateArray array, std::span<float> into) {
  if (!valid(plan_, unit, blocks)) return no_such_blocks(unit, blocks);
  const std::int64_t block_elements = plan_.units()[static_cast<std::size_t>(unit)].block_elements;
  CHECK(static_cast<std::int64_t>(into.size()) == blocks.size() * block_elements, "floats", into.size());
  auto* bytes = reinterpret_cast<std::byte*>(into.data());
  const auto ranges = plan_.ranges(unit, blocks, array);
  clear_padding(ranges, blocks.lo * block_elements, static_cast<std::int64_t>(into.size()), bytes);
  std::vector<Fragment> fragments;
  for (const FileRange& range : ranges)
    if (auto ok = add_fragments(range, bytes + (range.element - blocks.lo * block_elements) * 4, fragments); !ok)
      return ok;
  return read_fragments(fragments);
}

Result<void> CheckpointReader::stream_file(int file, const TakeBytes& take) {
  CHECK(file >= 0 && file < static_cast<int>(plan_.files().size()), "file", file);
  // equal to the file's: compared when opened
  if (auto ok = take(std::as_bytes(std::span(plan_.files()[static_cast<std::size_t>(file)].header))); !ok) return ok;
  return stream_data(files_, manifest_.extents, file, take);
}

}  // namespace regroup::checkpoint
