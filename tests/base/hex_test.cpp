#include "base/hex.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

TEST(Hex, numbers_have_sixteen_digits_or_no_zeros_in_front) {
  EXPECT_EQ(to_hex(std::uint64_t{0xabc}), "0000000000000abc");
  EXPECT_EQ(to_hex(~std::uint64_t{0}), "ffffffffffffffff");
  EXPECT_EQ(to_hex_unpadded(0xabc), "abc");
  EXPECT_EQ(to_hex_unpadded(0), "0");
}

TEST(Hex, bytes_have_two_digits_each) {
  EXPECT_EQ(to_hex(std::string_view("\x00\x7f\xff", 3)), "007fff");
  EXPECT_EQ(to_hex(std::string_view()), "");
}

TEST(Hex, what_was_written_is_read_and_so_is_upper_case) {
  EXPECT_EQ(from_hex(to_hex(std::uint64_t{0x0123456789abcdef})), 0x0123456789abcdefu);
  EXPECT_EQ(from_hex("ABC"), 0xabcu);
}

TEST(Hex, what_is_no_number_or_does_not_fit_is_not_read) {
  for (const char* text : {"", " 1", "1 ", "-1", "0x1", "g", "10000000000000000"}) EXPECT_FALSE(from_hex(text)) << text;
}

TEST(Hex, only_digits_are_hexadecimal) {
  EXPECT_TRUE(is_hex("09afAF"));
  EXPECT_FALSE(is_hex("09ag"));
}

}  // namespace
}  // namespace regroup
