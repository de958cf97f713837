#include "checkpoint/io/posix_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace regroup::checkpoint {

Error file_error(std::string_view what, const std::string& path, int error_number) {
  std::string hint;
  const bool reads = what == "read" || what == "list" || what == "stat";
  if (error_number == ENOSPC || error_number == EDQUOT) hint = "; free space there";
  if (error_number == EACCES && reads) hint = "; let the user read it that this program runs as";
  if ((error_number == EACCES && !reads) || error_number == EROFS)
    hint = "; make it writable or choose another directory";
  return {error_number == ENOENT ? Code::kNotFound : Code::kUnavailable,
          "cannot " + std::string(what) + " " + path + ": " + std::generic_category().message(error_number) + hint};
}

void FileHandle::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<FileHandle> open_file(const std::string& path, int flags) {
  int fd = -1;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return file_error((flags & O_ACCMODE) == O_RDONLY ? "read" : "open", path, errno);
  return FileHandle(fd);
}

Result<std::int64_t> file_size(const FileHandle& file, const std::string& path) {
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return file_error("stat", path, errno);
  return static_cast<std::int64_t>(info.st_size);
}

Result<void> write_at(int fd, const std::string& path, std::span<const std::byte> bytes, std::int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("write", path, errno);
    // POSIX lets a file system write nothing and name no reason; going on would spin. The only cause ever seen is a
    // full disk or quota, so that is what the caller is told.
    if (n == 0) return file_error("write", path, ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
  return {};
}

Result<void> read_at(int fd, const std::string& path, std::span<std::byte> into, std::int64_t offset) {
  while (!into.empty()) {
    const ssize_t n = ::pread(fd, into.data(), into.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("read", path, errno);
    if (n == 0) return Error{Code::kCorrupt, path + " ends at byte " + std::to_string(offset) + ": it was cut off"};
    into = into.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
  return {};
}

Result<void> sync_file(int fd, const std::string& path) {
  // Never tried again: after a failed fsync Linux marks the pages clean, and a second one would succeed with the data
  // lost.
  if (::fsync(fd) != 0) return file_error("make durable", path, errno);
  return {};
}

Result<void> sync_directory(const std::string& path) {
  auto directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  return sync_file(directory->fd(), path);
}

namespace {

// "." for a name alone, "" for the root and for nothing.
std::string parent_of(const std::string& path) {
  const std::size_t name = path.find_last_not_of('/');
  if (name == std::string::npos) return "";
  const std::size_t slash = path.find_last_of('/', name);
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Something of that name is there.
Result<void> check_is_directory(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0)
    return S_ISDIR(info.st_mode) ? Result<void>() : file_error("make the directory", path, ENOTDIR);
  if (errno == ENOENT)
    return Error{Code::kUnavailable, "cannot make the directory " + path + ": it is a link to what is not there"};
  return file_error("make the directory", path, errno);
}

}  // namespace

Result<void> make_directory(const std::string& path) {
  const auto make = [&path] { return ::mkdir(path.c_str(), 0755) == 0 ? 0 : errno; };
  const std::string above = parent_of(path);
  int problem = make();
  // Some file systems say so although what is above is there: asking again would not help.
  if (problem == ENOENT && above != path && ::access(above.c_str(), F_OK) != 0) {
    if (auto ok = make_directory(above); !ok) return ok;
    problem = make();
  }
  if (problem == 0) return sync_directory(above);
  return problem == EEXIST ? check_is_directory(path) : file_error("make the directory", path, problem);
}

Result<std::string> read_small_file(const std::string& path) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return file.error();
  auto size = file_size(*file, path);
  if (!size) return size.error();
  std::string text(static_cast<std::size_t>(*size), '\0');
  if (auto ok = read_at(file->fd(), path, std::as_writable_bytes(std::span(text)), 0); !ok) return ok.error();
  return text;
}

namespace {

std::string temporary_of(const std::string& path) { return path + ".tmp"; }

Result<void> write_temporary(const std::string& path, std::string_view text, bool durable) {
  const std::string temporary = temporary_of(path);
  auto file = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return file.error();
  auto ok = write_at(file->fd(), temporary, std::as_bytes(std::span(text)), 0);
  if (ok && durable) ok = sync_file(file->fd(), temporary);
  if (!ok) ::unlink(temporary.c_str());
  return ok;
}

Result<void> rename_temporary(const std::string& path) {
  if (::rename(temporary_of(path).c_str(), path.c_str()) != 0) return file_error("rename to", path, errno);
  return {};
}

}  // namespace

Result<void> place_file(const std::string& path, std::string_view text) {
  if (auto ok = write_temporary(path, text, /*durable=*/false); !ok) return ok;
  return rename_temporary(path);
}

Result<void> place_durable_file(const std::string& path, std::string_view text, void (*before_rename)(void*),
                                void* argument) {
  if (auto ok = write_temporary(path, text, /*durable=*/true); !ok) return ok;
  if (before_rename) before_rename(argument);
  if (auto ok = rename_temporary(path); !ok) return ok;
  return sync_directory(parent_of(path));
}

}  // namespace regroup::checkpoint
