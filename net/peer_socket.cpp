#include "net/peer_socket.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace regroup {
namespace {

using Clock = std::chrono::steady_clock;

Error system_error(Code code, const std::string& what) { return {code, what + ": " + std::strerror(errno)}; }

struct Resolved {
  int family = AF_UNIX;
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string host;  // of a tcp address
};

Result<Resolved> resolve(const std::string& address, bool passive) {
  Resolved out;
  if (address.rfind("unix:", 0) == 0) {
    const std::string path = address.substr(5);
    auto* name = reinterpret_cast<sockaddr_un*>(&out.storage);
    if (path.empty() || path.size() >= sizeof name->sun_path)
      return Error{Code::kBadInput,
                   "the socket path '" + path + "' is empty or longer than 107 characters; choose a shorter directory"};
    name->sun_family = AF_UNIX;
    std::memcpy(name->sun_path, path.c_str(), path.size() + 1);
    out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return out;
  }
  const auto colon = address.rfind(':');
  if (address.rfind("tcp:", 0) != 0 || colon < 5)
    return Error{Code::kBadInput, "'" + address + "' is no address; write unix:PATH or tcp:HOST:PORT"};
  out.host = address.substr(4, colon - 4);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = passive ? AI_PASSIVE : 0;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(out.host.c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (failed != 0 || found == nullptr)
    return Error{Code::kBadInput, "'" + address + "' cannot be resolved: " + ::gai_strerror(failed)};
  out.family = found->ai_family;
  out.size = found->ai_addrlen;
  std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return out;
}

}  // namespace

PeerSocket::PeerSocket(int fd, std::chrono::milliseconds idle) : fd_(fd), idle_(idle) {
  ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

PeerSocket::PeerSocket(PeerSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), idle_(other.idle_), until_(other.until_) {}

PeerSocket& PeerSocket::operator=(PeerSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  idle_ = other.idle_;
  until_ = other.until_;
  return *this;
}

PeerSocket::~PeerSocket() {
  if (fd_ >= 0) ::close(fd_);
}

Result<PeerSocket> PeerSocket::dial(const std::string& address, std::chrono::milliseconds timeout) {
  auto to = resolve(address, false);
  if (!to) return to.error();
  const int fd = ::socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error(Code::kUnavailable, "a socket for " + address);
  PeerSocket socket(fd, timeout);
  if (to->family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  const auto deadline = Clock::now() + timeout;
  while (::connect(fd, reinterpret_cast<sockaddr*>(&to->storage), to->size) != 0) {
    if (errno == EINTR) continue;
    // a unix listener whose backlog is full gives no event to wait for
    if (errno == EAGAIN && Clock::now() < deadline) {
      ::poll(nullptr, 0, 2);
      continue;
    }
    if (errno != EINPROGRESS) return system_error(Code::kUnavailable, "connecting to " + address);
    auto ready = socket.wait_for(POLLOUT);
    if (!ready) return ready.error().within("connecting to " + address);
    socklen_t size = sizeof errno;
    int failed = 0;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    errno = failed;
    if (failed != 0) return system_error(Code::kUnavailable, "connecting to " + address);
    break;
  }
  return socket;
}

Result<void> PeerSocket::wait_for(short what) {
  const auto limit = std::min(until_, Clock::now() + idle_);
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now()).count();
    if (left <= 0) return Error{Code::kTimeout, "the peer said nothing in time"};
    pollfd entry{fd_, what, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return system_error(Code::kPeerLost, "waiting for a peer");
  }
}

Result<void> PeerSocket::write(std::vector<iovec> parts) {
  std::size_t next = 0;
  while (next < parts.size()) {
    msghdr message{};
    message.msg_iov = &parts[next];
    message.msg_iovlen = std::min<std::size_t>(parts.size() - next, 512);
    ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return system_error(Code::kPeerLost, "writing to a peer");
      auto ready = wait_for(POLLOUT);
      if (!ready) return ready;
      continue;
    }
    while (next < parts.size() && static_cast<std::size_t>(sent) >= parts[next].iov_len)
      sent -= static_cast<ssize_t>(parts[next++].iov_len);
    if (next < parts.size()) {
      parts[next].iov_base = static_cast<char*>(parts[next].iov_base) + sent;
      parts[next].iov_len -= static_cast<std::size_t>(sent);
    }
  }
  return {};
}

Result<void> PeerSocket::read(void* into, std::size_t bytes) {
  auto* at = static_cast<char*>(into);
  while (bytes > 0) {
    const ssize_t got = ::recv(fd_, at, bytes, 0);
    if (got == 0) return Error{Code::kPeerLost, "the peer closed the connection"};
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return system_error(Code::kPeerLost, "reading from a peer");
      auto ready = wait_for(POLLIN);
      if (!ready) return ready;
      continue;
    }
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return {};
}

Result<void> PeerSocket::write_frame(const std::string& text) {
  auto length = static_cast<std::uint32_t>(text.size());
  return write({{&length, sizeof length}, {const_cast<char*>(text.data()), text.size()}});
}

Result<std::string> PeerSocket::read_frame(std::size_t max_bytes) {
  std::uint32_t length = 0;
  auto got = read(&length, sizeof length);
  if (!got) return got.error();
  if (length > max_bytes)
    return Error{Code::kCorrupt, "a frame of " + std::to_string(length) + " bytes came where at most " +
                                     std::to_string(max_bytes) + " are allowed"};
  std::string text(length, '\0');
  got = read(text.data(), length);
  if (!got) return got.error();
  return text;
}

Result<Listener> listen_at(const std::string& address) {
  auto at = resolve(address, true);
  if (!at) return at.error();
  const int fd = ::socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error(Code::kUnavailable, "a socket for " + address);
  if (at->family == AF_UNIX) {
    ::unlink(reinterpret_cast<sockaddr_un*>(&at->storage)->sun_path);
  } else {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (::bind(fd, reinterpret_cast<sockaddr*>(&at->storage), at->size) != 0 || ::listen(fd, 256) != 0) {
    const auto error = system_error(Code::kUnavailable, "listening at " + address);
    ::close(fd);
    return error;
  }
  if (at->family == AF_UNIX) return Listener{fd, address};
  socklen_t size = sizeof at->storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at->storage), &size);
  char port[16] = {};
  ::getnameinfo(reinterpret_cast<sockaddr*>(&at->storage), size, nullptr, 0, port, sizeof port, NI_NUMERICSERV);
  return Listener{fd, "tcp:" + at->host + ":" + port};
}

}  // namespace regroup
