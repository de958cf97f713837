// peer_socket.hpp: one connection of an agent's peer port: bytes and frames, in calls that all end.
//
// One thread at a time. Every call ends: by the bytes, by `idle` without a single byte, or by `until` when set.
#pragma once

#include "base/result.hpp"

#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace regroup {

class PeerSocket {
 public:
  // An address of net/address.hpp. kUnavailable: nobody listens; kTimeout; and the errors of parse_address.
  static Result<PeerSocket> dial(const std::string& address, std::chrono::milliseconds timeout);
  PeerSocket(int fd, std::chrono::milliseconds idle);  // takes a connected socket
  PeerSocket(PeerSocket&& other) noexcept;
  PeerSocket& operator=(PeerSocket&& other) noexcept;
  ~PeerSocket();

  void set_until(std::chrono::steady_clock::time_point until) { until_ = until; }
  void clear_until() { until_ = std::chrono::steady_clock::time_point::max(); }
  Result<void> write(std::vector<iovec> parts);
  Result<void> read(void* into, std::size_t bytes);  // kPeerLost at the end of the stream
  Result<void> write_frame(const std::string& json);
  Result<std::string> read_frame(std::size_t max_bytes);  // kCorrupt when longer
  [[nodiscard]] int fd() const { return fd_; }

 private:
  Result<void> wait_for(short what);
  int fd_ = -1;
  std::chrono::milliseconds idle_;
  std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::time_point::max();
};

}  // namespace regroup
