#include "net/peer_socket.hpp"

#include "base/now.hpp"
#include "net/address.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace regroup {
namespace {

Error system_error(Code code, const std::string& what) { return {code, what + ": " + std::strerror(errno)}; }

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
  const auto to = parse_address(address);
  if (!to) return to.error();
  const auto deadline = Clock::now() + timeout;
  int fd = start_connect(*to, Buffers::kSystem);
  while (fd < 0 && errno == EAGAIN && Clock::now() < deadline) {  // the end of a full queue gives no event
    ::poll(nullptr, 0, 2);
    fd = start_connect(*to, Buffers::kSystem);
  }
  if (fd < 0) return system_error(Code::kUnavailable, "connecting to " + address);
  PeerSocket socket(fd, timeout);
  if (auto ready = socket.wait_for(POLLOUT); !ready) return ready.error().within("connecting to " + address);
  int failed = 0;
  socklen_t size = sizeof failed;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
  errno = failed;
  if (failed != 0) return system_error(Code::kUnavailable, "connecting to " + address);
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

}  // namespace regroup
