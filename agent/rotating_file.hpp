// rotating_file.hpp: a file of lines that does not grow for ever: one that would become too large is renamed to PATH.1,
// in place of the one before. Any thread.
#pragma once

#include "base/mutex.hpp"

#include <cstddef>
#include <string>

namespace regroup::agent {

class RotatingFile {
 public:
  RotatingFile(std::string path, std::size_t most_bytes);
  ~RotatingFile();
  RotatingFile(const RotatingFile&) = delete;
  RotatingFile& operator=(const RotatingFile&) = delete;

  // Whole or not at all, at the end. False: see errno.
  bool append(const std::string& line);

 private:
  void open() REGROUP_REQUIRES(mutex_);

  const std::string path_;
  const std::size_t most_bytes_;
  Mutex mutex_;
  int fd_ REGROUP_GUARDED_BY(mutex_) = -1;
  std::size_t bytes_ REGROUP_GUARDED_BY(mutex_) = 0;  // it has
};

}  // namespace regroup::agent
