// raw_peer.hpp: a peer that speaks the mesh's protocol byte by byte, for those who do not follow the rules.
#pragma once

#include "mesh/address.hpp"
#include "mesh/handshake.hpp"
#include "tests/mesh/world.hpp"

#include <fcntl.h>
#include <poll.h>

namespace regroup::test {

// A blocking socket to a mesh.
class RawSocket {
 public:
  explicit RawSocket(const std::string& address) {
    auto parsed = parse_address(address);
    fd_ = start_connect(*parsed);
    ::fcntl(fd_, F_SETFL, 0);
  }
  ~RawSocket() { ::close(fd_); }
  bool write(std::string_view bytes) const { return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()); }
  // Empty at the end.
  [[nodiscard]] std::string read() const {
    char buffer[4096];
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 60'000) != 1) return "timeout";
    const auto n = ::recv(fd_, buffer, sizeof(buffer), 0);
    return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
  }
  // The rest of what comes until the other side closes.
  [[nodiscard]] bool closed() const {
    for (std::string got = read(); !got.empty(); got = read()) {
      if (got == "timeout") return false;
    }
    return true;
  }

 private:
  int fd_;
};

inline Handshake::Next shake(const RawSocket& socket, Handshake& handshake) {
  for (;;) {
    socket.write(handshake.output());
    handshake.output().clear();
    const auto got = socket.read();
    if (got.empty()) return Handshake::Next::kRefused;
    const auto next = handshake.feed(got);
    if (next == Handshake::Next::kProve) {
      handshake.prove();
    } else if (next != Handshake::Next::kMore) {
      return next;
    }
  }
}

template <class F>
bool eventually(F condition) {
  for (int i = 0; i < 60'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

}  // namespace regroup::test
