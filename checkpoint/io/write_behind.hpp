// write_behind.hpp: one thread that writes a buffer while its owner fills the next. One producer.
#pragma once

#include "base/mutex.hpp"
#include "base/result.hpp"
#include "checkpoint/io/aligned_memory.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <thread>

namespace regroup::checkpoint {

class WriteBehind {
 public:
  static constexpr std::size_t kBufferBytes = std::size_t{4} << 20;
  WriteBehind();
  ~WriteBehind();  // waits for the write under way
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // The buffer to fill next: kBufferBytes in huge pages, which a disk takes in one request; scattered pages take up to
  // four.
  [[nodiscard]] std::byte* buffer() { return buffers_[static_cast<std::size_t>(filling_)].get(); }
  // Writes the first `bytes` of buffer() and moves on to the other one. Returns the error of an earlier write, if there
  // was one.
  Result<void> submit(int fd, const std::string& path, std::size_t bytes, std::int64_t offset);
  Result<void> drain();

 private:
  struct Job {
    int fd = -1;
    std::string path;
    std::span<const std::byte> bytes;
    std::int64_t offset = 0;
  };
  void run();

  std::array<AlignedMemory, 2> buffers_;
  int filling_ = 0;
  Mutex mutex_;
  Condition changed_;
  std::optional<Job> job_ REGROUP_GUARDED_BY(mutex_);  // under way
  std::optional<Error> error_ REGROUP_GUARDED_BY(mutex_);
  bool stop_ REGROUP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace regroup::checkpoint
