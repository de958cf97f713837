#include "checkpoint/io/checked_files.hpp"

#include "base/check.hpp"
#include "checkpoint/io/extent_checksums.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace regroup::checkpoint {
namespace {

Error damaged(const std::string& path, std::int64_t lo, std::int64_t hi, const std::string& how) {
  return {Code::kCorrupt, path + " bytes [" + std::to_string(lo) + ", " + std::to_string(hi) + ") " + how};
}

}  // namespace

CheckedFiles::CheckedFiles(std::int64_t most_at_once)
    : most_at_once_(most_at_once),
      buffer_(aligned_memory(kFilePage, static_cast<std::size_t>(
                                            (most_at_once_ + kFilePage - 1) / kFilePage * kFilePage + 2 * kFilePage))) {
  CHECK(buffer_ != nullptr, "no memory to read into");
}

CheckedFiles::~CheckedFiles() {
  for (int fd : fds_) ::close(fd);
}

Result<void> CheckedFiles::open(const std::string& directory, std::span<const PlannedFile> all) {
  for (const PlannedFile& planned : all) {
    const std::string path = directory + "/" + planned.name;
    auto file = open_file(path, O_RDONLY);
    if (!file) return file.error().code == Code::kNotFound ? Error{Code::kCorrupt, path + " is missing"} : file.error();
    auto size = file_size(*file, path);
    if (!size) return size.error();
    if (*size != planned.bytes)
      return Error{Code::kCorrupt,
                   path + " has " + std::to_string(*size) + " bytes instead of " + std::to_string(planned.bytes)};
    std::string header(planned.header.size(), '\0');
    if (auto ok = read_at(file->fd(), path, std::as_writable_bytes(std::span(header)), 0); !ok) return ok;
    bytes_read_ += static_cast<std::int64_t>(header.size());
    if (header != planned.header) {
      const auto at = std::mismatch(header.begin(), header.end(), planned.header.begin()).first - header.begin();
      return damaged(path, at, static_cast<std::int64_t>(header.size()), "do not hold the header of its model");
    }
    // Past the cache: nothing is read twice, a copy less, and exactly what is asked for (readahead beyond a shard's end
    // would fetch what another node needs).
    auto direct = open_file(path, O_RDONLY | O_DIRECT);
    if (direct && ::pread(direct->fd(), buffer_.get(), kFilePage, 0) >= 0)
      file = std::move(direct);
    else
      ::posix_fadvise(file->fd(), 0, 0, POSIX_FADV_RANDOM);
    paths_.push_back(path);
    fds_.push_back(file->release());
  }
  return {};
}

Result<std::span<const std::byte>> CheckedFiles::read_bytes(int file, std::int64_t lo, std::int64_t hi) {
  CHECK(hi - lo <= most_at_once_, "bytes", lo, hi);
  // Whole pages, as direct reads want them; the file may end inside the last one.
  const std::int64_t page_lo = lo / kFilePage * kFilePage;
  const std::int64_t page_hi = (hi + kFilePage - 1) / kFilePage * kFilePage;
  for (std::int64_t at = page_lo; at < hi;) {
    const ssize_t n = ::pread(fds_[static_cast<std::size_t>(file)], buffer_.get() + (at - page_lo),
                              static_cast<std::size_t>(page_hi - at), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("read", paths_[static_cast<std::size_t>(file)], errno);
    at += n;
    bytes_read_ += n;
    if (at < hi && (n == 0 || at % kFilePage != 0))
      return damaged(paths_[static_cast<std::size_t>(file)], at, hi, "are missing: the file was cut off");
  }
  return std::span<const std::byte>(buffer_.get() + (lo - page_lo), static_cast<std::size_t>(hi - lo));
}

Result<std::span<const std::byte>> CheckedFiles::read_pieces(const Extent& extent, std::int64_t first,
                                                             std::int64_t end) {
  const std::int64_t lo = std::max(extent.offset, first * kChecksumBytes);
  const std::int64_t hi = std::min(extent.end(), end * kChecksumBytes);
  auto bytes = read_bytes(extent.file, lo, hi);
  if (!bytes) return bytes.error();
  for (std::int64_t piece = first; piece < end; ++piece) {
    const std::int64_t from = std::max(lo, piece * kChecksumBytes);
    const std::int64_t to = std::min(hi, (piece + 1) * kChecksumBytes);
    const std::uint64_t expected = extent.checksums[static_cast<std::size_t>(piece - extent.piece_of(extent.offset))];
    if (checksum(bytes->subspan(static_cast<std::size_t>(from - lo), static_cast<std::size_t>(to - from))) != expected)
      return damaged(paths_[static_cast<std::size_t>(extent.file)], from, to,
                     "do not match their checksum: the file is damaged");
  }
  return bytes;
}

Result<std::span<const std::byte>> CheckedFiles::piece_of_strided(const Extent& extent, std::int64_t piece,
                                                                  std::span<const std::byte> bytes,
                                                                  std::int64_t offset) {
  const std::int64_t lo = std::max(extent.from, piece * extent.piece_bytes());
  const std::int64_t hi = std::min(extent.end(), (piece + 1) * extent.piece_bytes());
  piece_.resize(static_cast<std::size_t>(hi - lo));
  for (std::int64_t at = lo; at < hi;) {
    const std::int64_t now = std::min(hi - at, extent.rows.run - at % extent.rows.run);
    std::memcpy(piece_.data() + (at - lo), bytes.data() + (extent.offset + extent.rows.place(at) - offset),
                static_cast<std::size_t>(now));
    at += now;
  }
  const std::uint64_t expected = extent.checksums[static_cast<std::size_t>(piece - extent.piece_of(extent.from))];
  if (checksum(piece_) != expected)
    return damaged(paths_[static_cast<std::size_t>(extent.file)], extent.offset + extent.rows.place(lo),
                   extent.offset + extent.rows.place(hi - 1) + 1,
                   "do not match their checksum, in rows of " + std::to_string(extent.rows.run) + " bytes every " +
                       std::to_string(extent.rows.stride) + ": the file is damaged");
  return std::span<const std::byte>(piece_);
}

}  // namespace regroup::checkpoint
