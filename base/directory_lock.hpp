// directory_lock.hpp: a directory belongs to one process at a time: a lock on DIR/lock, in which its holder stands.
// It ends with the process, however that ends.
#pragma once

#include "base/result.hpp"

#include <string>
#include <utility>

namespace regroup {

class DirectoryLock {
 public:
  // Makes the directory if it is not there. `what` says what goes on there while it is held, such as "an agent runs".
  // kConflict: another one holds it; the error reads "WHAT in DIR (pid N); ADVICE", with its what. It comes after 0.3
  // s, or after 5 s if the holder is ending. kBadInput: it cannot be made, written or locked.
  static Result<DirectoryLock> take(const std::string& directory, const std::string& what, const std::string& advice);
  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace regroup
