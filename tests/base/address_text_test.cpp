#include "base/address_text.hpp"

#include <gtest/gtest.h>

namespace regroup {
namespace {

std::string read_back(std::string_view text) {
  const auto at = parse_host_port(text);
  return at ? at->host + " " + std::to_string(at->port) : "none";
}

TEST(AddressText, a_host_and_a_port) {
  EXPECT_EQ(read_back("node-1:2379"), "node-1 2379");
  EXPECT_EQ(read_back("10.0.0.1:0"), "10.0.0.1 0");
  EXPECT_EQ(read_back("[::1]:65535"), "::1 65535");
  EXPECT_EQ(read_back("::1:80"), "::1 80");
}

TEST(AddressText, no_host_no_port_or_half_a_bracket_is_none) {
  for (const char* text : {"", ":", "host", "host:", ":80", "[]:80", "[::1:80", "::1]:80", "[:80", "host:65536",
                           "host:99999", "host:-1", "host:+1", "host:1x", "host: 1", "host:1 ", "host:http"})
    EXPECT_EQ(read_back(text), "none") << text;
}

TEST(AddressText, a_host_gets_brackets_only_if_its_colons_need_them) {
  EXPECT_EQ(host_in_address("::1"), "[::1]");
  EXPECT_EQ(host_in_address("[::1]"), "[::1]");
  EXPECT_EQ(host_in_address("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(to_string(HostPort{"::1", 80}), "[::1]:80");
  EXPECT_EQ(to_string(HostPort{"node-1", 80}), "node-1:80");
}

TEST(AddressText, of_two_kinds) {
  const auto local = parse_address_text("unix:/tmp/" + std::string(102, 'x'));
  ASSERT_TRUE(local);
  EXPECT_EQ(std::get<UnixPath>(*local).path.size(), 107u);
  const auto remote = parse_address_text("tcp:[::1]:5");
  ASSERT_TRUE(remote);
  EXPECT_EQ(std::get<HostPort>(*remote).host, "::1");
}

TEST(AddressText, what_is_of_neither_kind_is_refused_by_its_name) {
  for (const std::string& text :
       {std::string(), std::string("unix:"), std::string("tcp:host"), std::string("tcp::5"),
        std::string("tcp:host:99999"), std::string("udp:host:5"), "unix:/tmp/" + std::string(103, 'x')}) {
    const auto parsed = parse_address_text(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::kBadInput);
    EXPECT_NE(parsed.error().context.find("'" + text + "'"), std::string::npos) << parsed.error().context;
  }
}

}  // namespace
}  // namespace regroup
