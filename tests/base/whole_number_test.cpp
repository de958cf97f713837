#include "base/whole_number.hpp"

#include "base/fp32.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace regroup {
namespace {

TEST(WholeNumber, is_decimal_and_of_its_type) {
  for (const char* good : {"0", "7", "-3", "2147483647"}) EXPECT_EQ(whole_number<int>(good), "") << good;
  for (const char* bad : {"", "-", "+1", "0x10", "1e3", "1.5", " 1", "1 ", "2147483648"})
    EXPECT_NE(whole_number<int>(bad).find("must be a whole number from -2147483648 to 2147483647"), std::string::npos)
        << bad;
  for (const char* octal : {"010", "-07", "00"})
    EXPECT_NE(whole_number<int>(octal).find("without a leading 0"), std::string::npos) << octal;
  EXPECT_NE(whole_number<std::uint64_t>("-1"), "");
  EXPECT_EQ(whole_number<std::uint64_t>("18446744073709551615"), "");
  EXPECT_NE(whole_number<std::uint64_t>("18446744073709551616"), "");
}

TEST(Fp32, holds_0_and_normal_numbers) {
  for (const double good : {0.0, -0.0, 1.0, 1e-8, 1.2e-38, -3e38, 3.4e38}) EXPECT_EQ(not_in_fp32(good), "") << good;
  for (const double bad :
       {1e-60, 1e-40, 1e39, -1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    EXPECT_NE(not_in_fp32(bad).find("which fp32 cannot hold"), std::string::npos) << bad;
}

}  // namespace
}  // namespace regroup
