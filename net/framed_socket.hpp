// framed_socket.hpp: texts and file descriptors over a Unix stream socket. Frame: u32 little-endian length, then that
// many bytes; a descriptor goes with the first byte of its frame (SCM_RIGHTS).
#pragma once

#include "base/mutex.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <utility>

namespace regroup {

inline constexpr std::size_t kMaxFrameBytes = 64u << 20;  // a longer one is garbage: kCorrupt

// One end of the socket, blocking. send: any thread; receive: one thread. `fd` of send is lent, of receive given (-1 =
// none).
class FramedSocket {
 public:
  explicit FramedSocket(int fd);  // takes it
  ~FramedSocket();
  FramedSocket(const FramedSocket&) = delete;
  FramedSocket& operator=(const FramedSocket&) = delete;
  Result<void> send(const std::string& json, int fd = -1);
  Result<std::pair<std::string, int>> receive();  // kPeerLost at the end of the stream
  void shut_down();                               // wakes a receive
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
  Mutex sending_;  // one frame at a time goes out
};

}  // namespace regroup
