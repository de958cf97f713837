// byte_source.hpp: the bytes of one input, unpacked where its first bytes say gzip, zstd, xz or bzip2, also where it
// was packed twice. One thread.
#pragma once

#include "moe/data/prepare/inputs.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace regroup {

class ByteSource {
 public:
  // `stop`: a read that waits for more input ends with kTimeout soon after it is set.
  static Result<std::unique_ptr<ByteSource>> open(const Input& input, const std::atomic<bool>& stop);
  virtual ~ByteSource() = default;
  // Fills all of `into` unless the input ends before. kCorrupt: what was packed is cut or damaged, said once all bytes
  // before it have been handed out, or the input is of a known format that is not text (known_formats.hpp);
  // kUnavailable: cannot be read.
  virtual Result<std::size_t> read(char* into, std::size_t size) = 0;
  [[nodiscard]] virtual std::int64_t bytes_on_disk() const = 0;  // consumed so far
};

}  // namespace regroup
