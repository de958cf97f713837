#include "store/etcd/endpoints.hpp"

#include <algorithm>
#include <optional>
#include <sstream>

namespace regroup {
namespace {

enum class Scheme { kNone, kPlain, kTls };

std::string without_blanks(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

Scheme take_scheme(std::string& name) {
  const auto end = name.find("://");
  if (end == std::string::npos) return Scheme::kNone;
  std::string word = name.substr(0, end);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (word != "http" && word != "https") return Scheme::kNone;  // it stays, and is refused with the rest
  name.erase(0, end + 3);
  if (name.ends_with('/')) name.pop_back();
  return word == "https" ? Scheme::kTls : Scheme::kPlain;
}

}  // namespace

Result<EtcdEndpoints> read_endpoints(const std::string& text, bool ca_given) {
  EtcdEndpoints endpoints;
  bool plain = false;
  std::istringstream in(text);
  for (std::string piece; std::getline(in, piece, ',');) {
    const std::string given = without_blanks(piece);
    std::string name = given;
    const Scheme scheme = take_scheme(name);
    const auto at = parse_host_port(name);
    if (!at || name.find_first_of("/@ ") != std::string::npos)
      return Error{Code::kBadInput, "the etcd endpoint \"" + given + "\" is not HOST:PORT"};
    if (scheme == Scheme::kPlain && ca_given)
      return Error{Code::kBadInput, "the etcd endpoint \"" + given +
                                        "\" says plain text, and --etcd-ca says TLS: write https:// or leave one out"};
    (scheme == Scheme::kTls || ca_given ? endpoints.tls : plain) = true;
    endpoints.at.push_back(*at);
  }
  if (endpoints.at.empty()) return Error{Code::kBadInput, "no etcd endpoint is given; name at least one HOST:PORT"};
  if (endpoints.tls && plain)
    return Error{Code::kBadInput, "the etcd endpoints \"" + text +
                                      "\" mix https:// with plain text: write https:// before each or before none"};
  return endpoints;
}

}  // namespace regroup
