// raw_peer.hpp: a peer that speaks the mesh's protocol byte by byte, for those who do not follow the rules.
#pragma once

#include "mesh/handshake.hpp"
#include "mesh/peer_memory.hpp"
#include "mesh/wire.hpp"
#include "net/address.hpp"
#include "tests/mesh/world.hpp"

#include <fcntl.h>
#include <poll.h>

namespace regroup::mesh::test {

// A blocking socket to a mesh.
class RawSocket {
 public:
  explicit RawSocket(const std::string& address) {
    auto parsed = parse_address(address);
    fd_ = start_connect(*parsed, Buffers::kLarge);
    ::fcntl(fd_, F_SETFL, 0);
  }
  ~RawSocket() { ::close(fd_); }
  bool write(std::string_view bytes) const {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
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

// Both lanes to rank 0 of `world`, as worker 5.
struct RawPeer {
  explicit RawPeer(const World& world) : control(world.peers[0].address), bulk(world.peers[0].address) {
    Handshake first = Handshake::dial(worker(5), worker(0), Lane::kControl, "a secret");
    Handshake second = Handshake::dial(worker(5), worker(0), Lane::kBulk, "a secret");
    EXPECT_EQ(shake(control, first), Handshake::Next::kAccepted);
    EXPECT_EQ(shake(bulk, second), Handshake::Next::kAccepted);
  }
  static std::string bytes_of(const Frame& frame) {
    std::string bytes(kFrameBytes, '\0');
    encode_frame(frame, reinterpret_cast<std::byte*>(bytes.data()));
    return bytes;
  }
  // Says where its memory is, so that offers are believed; the answer, if any, is not read.
  void introduce() const {
    bulk.write(bytes_of(
        {FrameType::kReach, static_cast<std::uint64_t>(::getpid()), reinterpret_cast<std::uint64_t>(&word), word}));
  }
  void offer(std::uint64_t tag, std::span<const std::byte> bytes, const std::uint64_t& seal, std::uint64_t said) const {
    std::string place(kOfferBytes, '\0');
    encode_offer({reinterpret_cast<std::uint64_t>(bytes.data()), reinterpret_cast<std::uint64_t>(&seal), said},
                 reinterpret_cast<std::byte*>(place.data()));
    bulk.write(bytes_of({FrameType::kOffer, 1, tag, bytes.size(), 0, static_cast<std::uint32_t>(bytes.size())}) +
               place);
  }

  const std::uint64_t word = fresh_word();
  const RawSocket control, bulk;
};

}  // namespace regroup::mesh::test
