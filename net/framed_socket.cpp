#include "net/framed_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>

static_assert(std::endian::native == std::endian::little, "the length of a frame is little-endian");

namespace regroup {
namespace {

Error lost(const char* doing) {
  return {Code::kPeerLost, std::string(doing) + " the agent's socket: " +
                               (errno == 0 ? "the other side closed it" : std::strerror(errno))};
}

Result<void> read_rest(int fd, char* into, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t got = ::recv(fd, into, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0) errno = 0;
      return lost("reading");
    }
    into += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace

FramedSocket::FramedSocket(int fd) : fd_(fd) {}

FramedSocket::~FramedSocket() {
  if (fd_ >= 0) ::close(fd_);
}

void FramedSocket::shut_down() { ::shutdown(fd_, SHUT_RDWR); }

Result<void> FramedSocket::send(const std::string& json, int fd) {
  if (json.size() > kMaxFrameBytes)
    return Error{Code::kBadInput,
                 "a message of " + std::to_string(json.size()) + " bytes is longer than a frame may be"};
  const LockGuard lock(sending_);
  auto length = static_cast<std::uint32_t>(json.size());
  iovec parts[2] = {{&length, sizeof length}, {const_cast<char*>(json.data()), json.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
  }
  while (message.msg_iovlen > 0) {
    ssize_t sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return lost("writing to");
    message.msg_control = nullptr;  // the descriptor went with the first byte
    message.msg_controllen = 0;
    while (sent > 0) {
      iovec& part = *message.msg_iov;
      const auto step = std::min(static_cast<std::size_t>(sent), part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + step;
      part.iov_len -= step;
      sent -= static_cast<ssize_t>(step);
      if (part.iov_len > 0) break;
      ++message.msg_iov;
      --message.msg_iovlen;
    }
    while (message.msg_iovlen > 0 && message.msg_iov->iov_len == 0) {
      ++message.msg_iov;
      --message.msg_iovlen;
    }
  }
  return {};
}

Result<std::pair<std::string, int>> FramedSocket::receive() {
  std::uint32_t length = 0;
  iovec part{&length, sizeof length};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) {
    if (got == 0) errno = 0;
    return lost("reading");
  }
  int passed = -1;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
      std::memcpy(&passed, CMSG_DATA(header), sizeof(int));
  }
  auto fail = [passed](Error error) {
    if (passed >= 0) ::close(passed);
    return error;
  };
  auto rest = read_rest(fd_, reinterpret_cast<char*>(&length) + got, sizeof length - static_cast<std::size_t>(got));
  if (!rest) return fail(rest.error());
  if (length > kMaxFrameBytes)
    return fail({Code::kCorrupt, "a frame of " + std::to_string(length) + " bytes came over the agent's socket"});
  std::string json(length, '\0');
  rest = read_rest(fd_, json.data(), length);
  if (!rest) return fail(rest.error());
  return std::pair{std::move(json), passed};
}

}  // namespace regroup
