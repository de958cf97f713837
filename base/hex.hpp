// hex.hpp: numbers and bytes as hexadecimal digits, lower case when written. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace regroup {

std::string to_hex(std::uint64_t value);           // 16 digits
std::string to_hex_unpadded(std::uint64_t value);  // without zeros in front; "0" for 0
std::string to_hex(std::string_view bytes);        // 2 digits a byte

// True if `text` consists of hex digits of either case only; also for the empty text.
bool is_hex(std::string_view text);
// 1 digit or more of either case, and nothing else, of a number that fits.
std::optional<std::uint64_t> from_hex(std::string_view text);

}  // namespace regroup
