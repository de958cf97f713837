#include "bench/checkpoint/raw_disk.hpp"

#include "base/now.hpp"
#include "checkpoint/io/posix_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

namespace regroup::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDirectBytes = std::size_t{4} << 20, kHugePage = std::size_t{2} << 20;

}  // namespace

double raw_write(const std::string& path, std::int64_t bytes) {
  // In huge pages: a buffer of scattered pages takes up to twice the requests, and the disk would look slower than it
  // is.
  auto* buffer = static_cast<std::byte*>(std::aligned_alloc(kHugePage, kDirectBytes));
  ::madvise(buffer, kDirectBytes, MADV_HUGEPAGE);
  std::memset(buffer, 0x5a, kDirectBytes);
  const auto start = Clock::now();
  {
    const checkpoint::FileHandle file = value(checkpoint::open_file(path, O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT));
    for (std::int64_t at = 0; at < bytes; at += static_cast<std::int64_t>(kDirectBytes))
      value(checkpoint::write_at(file.fd(), path, {buffer, kDirectBytes}, at));
    value(checkpoint::sync_file(file.fd(), path));
  }
  const double seconds = seconds_since(start);
  std::free(buffer);
  fs::remove(path);
  return seconds;
}

double raw_read(const std::string& directory, const checkpoint::FilePlan& plan) {
  auto* buffer = static_cast<std::byte*>(std::aligned_alloc(4096, kDirectBytes));
  const auto start = Clock::now();
  for (const checkpoint::PlannedFile& planned : plan.files()) {
    const std::string path = directory + "/" + planned.name;
    const checkpoint::FileHandle file = value(checkpoint::open_file(path, O_RDONLY | O_DIRECT));
    for (std::int64_t at = 0; at < planned.bytes; at += static_cast<std::int64_t>(kDirectBytes))
      if (::pread(file.fd(), buffer, kDirectBytes, at) < 0)
        value(Result<void>(checkpoint::file_error("read", path, errno)));
  }
  std::free(buffer);
  return seconds_since(start);
}

void forget_pages(const std::string& directory) {
  for (const auto& entry : fs::directory_iterator(directory)) {
    const checkpoint::FileHandle file = value(checkpoint::open_file(entry.path().string(), O_RDONLY));
    ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

}  // namespace regroup::bench
