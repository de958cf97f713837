#include "moe/data/prepare/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace regroup {

std::size_t broken_utf8_at(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  const std::size_t size = text.size();
  std::size_t i = 0;
  while (i < size) {
    if (bytes[i] < 0x80) {
      std::uint64_t eight = 0;
      while (i + 8 <= size && (std::memcpy(&eight, bytes + i, 8), (eight & 0x8080808080808080ULL) == 0)) i += 8;
      while (i < size && bytes[i] < 0x80) ++i;
      continue;
    }
    const unsigned char lead = bytes[i];
    // Table 3-7 of the Unicode standard: the second byte is bounded by the first, all others are 80..BF.
    const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                               : (lead & 0xF0) == 0xE0        ? 3
                               : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                              : 0;
    if (length == 0 || i + length > size) return i;
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (bytes[i + 1] < low || bytes[i + 1] > high) return i;
    for (std::size_t j = 2; j < length; ++j)
      if ((bytes[i + j] & 0xC0) != 0x80) return i;
    i += length;
  }
  return std::string_view::npos;
}

std::size_t last_character_border(std::string_view text) {
  if (text.size() < 2) return 0;
  const std::size_t lowest = text.size() > 4 ? text.size() - 4 : 1;
  for (std::size_t n = text.size() - 1; n >= lowest; --n)
    if (!continues_character(text[n])) return n;
  return text.size() - 1;  // not UTF-8 at all: any place is as good
}

}  // namespace regroup
