#include "agent/rotating_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace regroup::agent {

RotatingFile::RotatingFile(std::string path, std::size_t most_bytes) : path_(std::move(path)), most_bytes_(most_bytes) {
  const LockGuard lock(mutex_);
  open();
}

RotatingFile::~RotatingFile() {
  if (fd_ >= 0) ::close(fd_);
}

void RotatingFile::open() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  struct stat now {};
  bytes_ = fd_ >= 0 && ::fstat(fd_, &now) == 0 ? static_cast<std::size_t>(now.st_size) : 0;
}

bool RotatingFile::append(const std::string& line) {
  const LockGuard lock(mutex_);
  if (bytes_ > 0 && bytes_ + line.size() > most_bytes_ && std::rename(path_.c_str(), (path_ + ".1").c_str()) == 0)
    open();
  if (fd_ < 0 || ::write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return false;
  bytes_ += line.size();
  return true;
}

}  // namespace regroup::agent
