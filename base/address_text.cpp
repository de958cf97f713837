#include "base/address_text.hpp"

#include <charconv>

namespace regroup {
namespace {

constexpr std::size_t kLongestPath = 107;  // sockaddr_un holds 108 bytes, the last is 0

Error bad(std::string_view text, const char* why) {
  return {Code::kBadInput, "the address '" + std::string(text) + "' " + why + "; use unix:PATH or tcp:HOST:PORT"};
}

}  // namespace

std::optional<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  HostPort at;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, at.port);
  if (error != std::errc() || rest != end) return std::nullopt;
  if (host.starts_with('[') != host.ends_with(']')) return std::nullopt;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  if (host.empty()) return std::nullopt;
  at.host = host;
  return at;
}

std::string to_string(const HostPort& at) { return host_in_address(at.host) + ":" + std::to_string(at.port); }

std::string host_in_address(const std::string& host) {
  return host.find(':') != std::string::npos && !host.starts_with('[') ? "[" + host + "]" : host;
}

Result<AddressText> parse_address_text(std::string_view text) {
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    if (path.empty()) return bad(text, "has no path");
    if (path.size() > kLongestPath) return bad(text, "has a path longer than 107 bytes");
    return AddressText(UnixPath{std::string(path)});
  }
  if (!text.starts_with("tcp:")) return bad(text, "is of neither kind");
  const auto at = parse_host_port(text.substr(4));
  if (!at) return bad(text, "has no host, or no port of 0 to 65535");
  return AddressText(*at);
}

}  // namespace regroup
