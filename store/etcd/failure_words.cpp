#include "store/etcd/failure_words.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace regroup {
namespace {

struct Advice {
  std::string_view about;
  std::string_view advice;
};

constexpr std::string_view kNoUsers =
    "its authentication is on, and Regroup gives no user names and passwords: with --client-cert-auth etcd takes the "
    "common name of --etcd-cert for the user; else switch it off with etcdctl auth disable";

constexpr std::array<Advice, 9> kAdvice{
    {{"user name is empty", kNoUsers},
     {"user name not found", kNoUsers},
     {"invalid auth token", kNoUsers},
     {"permission denied", "the user needs a role with readwrite on the prefix /regroup/"},
     {"database space exceeded", "its quota is used up: compact, defragment, then etcdctl alarm disarm"},
     {"no leader", "most of its members are away, or cannot reach each other"},
     {"unknown service", "is it an etcd of version 3.4 or later?"},
     {"unknown method", "is it an etcd of version 3.4 or later?"},
     {"http2 header with status", "is it an etcd of version 3.4 or later, and this its client port?"}}};

bool says(const std::string& text, std::string_view words) { return text.find(words) != std::string::npos; }

}  // namespace

std::string connection_words(const std::string& text) {
  // Such as: ...; last error: UNKNOWN: ipv4:127.0.0.1:2379: Failed to connect to remote host: Connection refused
  const auto colon = text.rfind(": ");
  const std::string cause = colon == std::string::npos ? text : text.substr(colon + 2);
  if (says(text, "DNS resolution failed")) return "its name cannot be resolved: " + cause;
  if (says(text, "is not in peer certificate")) return "its certificate is for another name: " + cause;
  if (says(text, "Connection refused")) return cause + "; nothing listens there: is it started?";
  if (says(text, "Failed parsing HTTP/2")) return cause + "; this is no etcd's client port";
  if (says(text, "http1.x server")) return "an HTTP server answers that is no etcd: is this etcd's client port?";
  if (says(text, "Socket closed") || says(text, "Connection reset"))
    return cause + "; what listens there hangs up: is it etcd's client port, and does it want https:// or plain text?";
  return cause;
}

bool may_be_tls(const std::string& text) {
  constexpr std::array<std::string_view, 5> kUnclear{"certificate verify failed", "andshake failed", "Socket closed",
                                                     "Endpoint read failed", "Connection reset"};
  return std::any_of(kUnclear.begin(), kUnclear.end(), [&](std::string_view words) { return says(text, words); });
}

std::string answer_words(const std::string& text) {
  if (text == "Deadline Exceeded") return "no answer in time";
  for (const Advice& one : kAdvice)
    if (says(text, one.about)) return text + "; " + std::string(one.advice);
  return text;
}

}  // namespace regroup
