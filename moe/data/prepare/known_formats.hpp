// known_formats.hpp: what the first bytes of a file say that it is: plain, packed in a way that we unpack, or something
// else that must not be taken for text. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace regroup {

enum class Packing { kNone, kGzip, kZstd, kXz, kBzip2 };

struct KnownFormat {
  Packing packing = Packing::kNone;
  std::string refused;  // what it is and what to do with it; "" = it may be text
};

// So many bytes of a file, or all where it is shorter, are enough.
inline constexpr std::size_t kFormatBytes = 512;

KnownFormat format_of_bytes(std::string_view begin);

}  // namespace regroup
