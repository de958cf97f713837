#include "moe/data/prepare/new_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace regroup {

NewFile::NewFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp" + std::to_string(::getpid())) {}

NewFile::~NewFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  if (!published_) ::unlink(temporary_.c_str());
}

Result<void> NewFile::create() {
  fd_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return fd_ < 0 ? failed("create") : Result<void>{};
}

Result<void> NewFile::write(const void* data, std::size_t size) {
  auto written = write_at(size_, data, size);
  if (written) size_ += static_cast<std::int64_t>(size);
  return written;
}

Result<void> NewFile::write_at(std::int64_t offset, const void* data, std::size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::pwrite(fd_, at, size, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("write");
    at += n;
    offset += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

Result<void> NewFile::read_at(std::int64_t offset, void* data, std::size_t size) const {
  auto* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t n = ::pread(fd_, at, size, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("read");
    if (n == 0) return Error{Code::kUnavailable, temporary_ + " was changed while in use: it is shorter than written"};
    at += n;
    offset += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

Result<void> NewFile::cut(std::int64_t size) {
  if (::ftruncate(fd_, size) != 0) return failed("cut");
  size_ = size;
  return {};
}

Result<void> NewFile::sync() { return ::fsync(fd_) == 0 ? Result<void>{} : failed("sync"); }

Result<void> NewFile::publish() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("rename");
  published_ = true;
  return {};
}

Error NewFile::failed(const char* what) const {
  return {Code::kUnavailable, std::string("cannot ") + what + " " + temporary_ + ": " + std::strerror(errno)};
}

void sync_directory_of(const std::string& path) {
  const int fd = ::open(std::filesystem::absolute(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

}  // namespace regroup
