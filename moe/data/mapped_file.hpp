// mapped_file.hpp: a whole file mapped for reading, for as long as the object lives. Private to moe/data. Any number of
// threads may read it.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace regroup {

class MappedFile {
 public:
  // kNotFound, kBadInput (no regular file), kUnavailable, kCorrupt (a Git LFS pointer), each naming the file.
  // `may_be_absent`: a file that is not there opens, without bytes, and exists() is false.
  static Result<MappedFile> open(const std::string& path, bool may_be_absent = false);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::span<const char> bytes() const { return {data_, size_}; }
  [[nodiscard]] bool exists() const { return exists_; }

 private:
  std::string path_;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
  bool exists_ = false;
};

}  // namespace regroup
