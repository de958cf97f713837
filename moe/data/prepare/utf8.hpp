// utf8.hpp: is this UTF-8, and where may it be cut. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace regroup {

// The offset of the first byte that no well-formed UTF-8 has there (overlong forms, surrogates, beyond U+10FFFF and cut
// characters included); npos if all is well.
std::size_t broken_utf8_at(std::string_view text);

// The largest n in (0, text.size()) with a character's border before text[n], looking back at most 4 bytes; 0 if there
// is none.
std::size_t last_character_border(std::string_view text);

inline bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace regroup
