// new_file.hpp: a file that appears under its name only when `publish` succeeds; until then it lies beside it and goes
// with this object.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>

namespace regroup {

class NewFile {
 public:
  explicit NewFile(std::string path);
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();

  // kUnavailable, naming the file, from each of them.
  Result<void> create();
  Result<void> write(const void* data, std::size_t size);  // at the end
  Result<void> write_at(std::int64_t offset, const void* data, std::size_t size);
  Result<void> read_at(std::int64_t offset, void* data, std::size_t size) const;  // all of it
  Result<void> cut(std::int64_t size);                                            // and go on from there
  Result<void> sync();
  Result<void> publish();
  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] Error failed(const char* what) const;
  std::string path_, temporary_;
  int fd_ = -1;
  std::int64_t size_ = 0;
  bool published_ = false;
};

// The renames below `path`'s directory survive a power cut.
void sync_directory_of(const std::string& path);

}  // namespace regroup
