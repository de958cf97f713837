// directory_lock.hpp: a directory belongs to one process at a time: a lock on DIR/lock, in which its holder stands.
// It ends with the process, however that ends.
//
// Each holder writes a random word into the file, too. Who finds the word of somebody who is gone knows that this is
// the directory that one had: a clone of the machine, with the same names and paths, has another.
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
  DirectoryLock(DirectoryLock&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), word_(std::move(other.word_)), word_before_(std::move(other.word_before_)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(word_, other.word_);
    std::swap(word_before_, other.word_before_);
    return *this;
  }
  ~DirectoryLock();
  [[nodiscard]] const std::string& word() const { return word_; }                // of this holder; 16 hex digits
  [[nodiscard]] const std::string& word_before() const { return word_before_; }  // of the one before; empty: none known

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}
  int fd_;
  std::string word_, word_before_;
};

}  // namespace regroup
