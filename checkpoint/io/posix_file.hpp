// posix_file.hpp: the few file operations that a checkpoint needs, each with its errno as one sentence. Any thread.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace regroup::checkpoint {

// "cannot WHAT PATH: errno's text". kNotFound for ENOENT, else kUnavailable.
Error file_error(std::string_view what, const std::string& path, int error_number);

class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int fd) : fd_(fd) {}
  ~FileHandle() { close(); }
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  void close();
  // Gives the descriptor away.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

Result<FileHandle> open_file(const std::string& path, int flags);  // O_CLOEXEC and mode 0644 added
Result<std::int64_t> file_size(const FileHandle& file, const std::string& path);
Result<void> write_at(int fd, const std::string& path, std::span<const std::byte> bytes, std::int64_t offset);
// kCorrupt when the file ends before.
Result<void> read_at(int fd, const std::string& path, std::span<std::byte> into, std::int64_t offset);
Result<void> sync_file(int fd, const std::string& path);
Result<void> sync_directory(const std::string& path);
// Makes a directory and the missing ones above it, each durable in its parent.
Result<void> make_directory(const std::string& path);

Result<std::string> read_small_file(const std::string& path);
// NAME.tmp, rename: whoever sees the file sees all of it. Not durable.
Result<void> place_file(const std::string& path, std::string_view text);
// NAME.tmp, fsync, rename, fsync of the directory: afterwards the file is there whole or not at all. `before_rename` is
// called in between.
Result<void> place_durable_file(const std::string& path, std::string_view text, void (*before_rename)(void*) = nullptr,
                                void* argument = nullptr);

}  // namespace regroup::checkpoint
