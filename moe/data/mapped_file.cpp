#include "moe/data/mapped_file.hpp"

#include "base/magic.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace regroup {

Result<MappedFile> MappedFile::open(const std::string& path, bool may_be_absent) {
  MappedFile file;
  file.path_ = path;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe would wait for a writer
  if (fd < 0) {
    if (may_be_absent && errno == ENOENT) return file;
    return Error{Code::kNotFound,
                 "cannot read " + path + ": " + std::strerror(errno) + "; `regroup data prepare` makes it"};
  }
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd);
    return Error{Code::kBadInput, path + " is not a regular file"};
  }
  file.exists_ = true;
  file.size_ = static_cast<std::size_t>(status.st_size);
  if (file.size_ > 0) {
    void* data = ::mmap(nullptr, file.size_, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      const int error = errno;
      ::close(fd);
      return Error{Code::kUnavailable, "cannot map " + path + ": " + std::strerror(error)};
    }
    file.data_ = static_cast<const char*>(data);
  }
  ::close(fd);
  if (std::string_view(file.data_, file.size_).starts_with(magic::kGitLfsPointer))
    return Error{Code::kCorrupt, path + " is a Git LFS pointer, not the file itself: `git lfs pull` fetches that"};
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(exists_, other.exists_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<char*>(data_), size_);
}

}  // namespace regroup
