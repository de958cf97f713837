#include "net/address.hpp"

#include "base/address_text.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <variant>

namespace regroup {
namespace {

constexpr int kLargeBufferBytes = 4 << 20;
constexpr int kBacklog = 1024;

Error failed(const std::string& text, const char* what) {
  return {errno == EADDRINUSE ? Code::kConflict : Code::kUnavailable,
          "the address '" + text + "': " + what + ": " + std::strerror(errno)};
}

// True when a socket file is left over from a process that is gone.
bool is_stale(const SocketAddress& address) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const bool refused =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 && errno == ECONNREFUSED;
  ::close(fd);
  return refused;
}

}  // namespace

Result<SocketAddress> parse_address(const std::string& text) {
  const auto parsed = parse_address_text(text);
  if (!parsed) return parsed.error();
  SocketAddress result;
  if (const auto* local = std::get_if<UnixPath>(&*parsed)) {
    auto* un = reinterpret_cast<sockaddr_un*>(&result.storage);
    un->sun_family = AF_UNIX;
    std::memcpy(un->sun_path, local->path.c_str(), local->path.size() + 1);
    result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + local->path.size() + 1);
    return result;
  }
  const auto& at = std::get<HostPort>(*parsed);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found);
  if (rc != 0)
    return Error{rc == EAI_AGAIN ? Code::kUnavailable : Code::kNotFound,
                 "the address '" + text + "': " + ::gai_strerror(rc)};
  std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return result;
}

Result<void> check_host(const std::string& host) {
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  std::string bare = brackets ? host.substr(1, host.size() - 2) : host;
  bare = bare.substr(0, bare.find('%'));  // a scope: fe80::1%eth0
  in6_addr six{};
  in_addr four{};
  const bool is_six = ::inet_pton(AF_INET6, bare.c_str(), &six) == 1;
  if (!is_six && (bare.empty() || bare.find_first_of(":/[] ") != std::string::npos))
    return Error{Code::kBadInput, "is a host without a port, not '" + host + "'"};
  const bool every = is_six ? IN6_IS_ADDR_UNSPECIFIED(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr32[3] == 0)
                            : ::inet_aton(bare.c_str(), &four) != 0 && four.s_addr == INADDR_ANY;
  if (every) return Error{Code::kBadInput, "must be reachable from other nodes, which '" + host + "' is not"};
  return {};
}

void tune_socket(int fd, int family, Buffers buffers) {
  if (buffers == Buffers::kLarge) {
    // FORCE passes net.core.wmem_max where we are root; otherwise the limit applies.
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kLargeBufferBytes, sizeof(int)) != 0)
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kLargeBufferBytes, sizeof(int));
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kLargeBufferBytes, sizeof(int)) != 0)
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kLargeBufferBytes, sizeof(int));
  }
  const int on = 1;
  if (family != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

Result<ListeningSocket> listen_on(const std::string& text, Buffers buffers) {
  auto address = parse_address(text);
  if (!address) return address.error();
  const int fd = ::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failed(text, "no socket");
  const int on = 1;
  if (address->family() != AF_UNIX) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  tune_socket(fd, address->family(), buffers);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address->storage);
  int rc = ::bind(fd, raw, address->length);
  if (rc != 0 && errno == EADDRINUSE && address->family() == AF_UNIX && is_stale(*address)) {
    ::unlink(text.c_str() + 5);
    rc = ::bind(fd, raw, address->length);
  }
  if (rc == 0 && address->family() == AF_UNIX) ::chmod(text.c_str() + 5, 0600);
  if (rc != 0 || ::listen(fd, kBacklog) != 0) {
    Error error = failed(text, "cannot listen");
    ::close(fd);
    return error;
  }
  ListeningSocket result{fd, text};
  if (address->family() != AF_UNIX) {
    socklen_t length = sizeof(address->storage);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address->storage), &length);
    const auto port = address->family() == AF_INET ? reinterpret_cast<sockaddr_in*>(&address->storage)->sin_port
                                                   : reinterpret_cast<sockaddr_in6*>(&address->storage)->sin6_port;
    result.address = text.substr(0, text.rfind(':') + 1) + std::to_string(ntohs(port));
  }
  return result;
}

void close_listening(ListeningSocket& socket) {
  if (socket.fd < 0) return;
  if (socket.address.starts_with("unix:")) ::unlink(socket.address.c_str() + 5);
  ::close(socket.fd);
  socket.fd = -1;
}

int start_connect(const SocketAddress& address, Buffers buffers) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  tune_socket(fd, address.family(), buffers);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

}  // namespace regroup
