// address_text.hpp: addresses as texts: HOST:PORT, and "unix:PATH" or "tcp:HOST:PORT". Resolves no name. Pure.
//
// HOST is a name, an IPv4 address or an IPv6 address, whose brackets may be left out. PORT is 0 to 65535.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace regroup {

struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
};
// Nothing: the host is empty, a bracket is missing, or the port is none.
std::optional<HostPort> parse_host_port(std::string_view text);
// As others write it: an IPv6 address gets its brackets.
std::string to_string(const HostPort& at);
// A host as it stands in an address.
std::string host_in_address(const std::string& host);

struct UnixPath {
  std::string path;
};
using AddressText = std::variant<UnixPath, HostPort>;
// kBadInput: of neither form, or the path is longer than the 107 bytes that the system takes.
Result<AddressText> parse_address_text(std::string_view text);

}  // namespace regroup
