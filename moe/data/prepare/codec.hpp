// codec.hpp: one way of unpacking: packed bytes in, plain bytes out. One thread.
#pragma once

#include "moe/data/prepare/known_formats.hpp"

#include <memory>
#include <span>
#include <string>

namespace regroup {

class Codec {
 public:
  struct Step {
    std::size_t taken = 0, made = 0;
    bool ended = false;   // a whole member (gzip), stream (xz, bzip2) or frame (zstd); the next step begins another one
    std::string problem;  // the packed bytes are damaged
  };
  virtual ~Codec() = default;
  virtual Step step(std::span<const char> packed, std::span<char> plain) = 0;
  // Zeros behind a stream come in so many, and another stream may follow them. 0: any number, and nothing follows.
  [[nodiscard]] virtual std::size_t padding_unit() const { return 0; }
};

// Of any packing but kNone.
std::unique_ptr<Codec> codec_of(Packing packing);

}  // namespace regroup
