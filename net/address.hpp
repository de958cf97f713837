// address.hpp: "unix:PATH" and "tcp:HOST:PORT" as sockets. All sockets are non-blocking and close on exec.
#pragma once

#include "base/result.hpp"

#include <sys/socket.h>

#include <string>

namespace regroup {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] int family() const { return storage.ss_family; }
};

// Resolves host names, which may block. kBadInput: not of either form, or too long; kNotFound: no such host.
Result<SocketAddress> parse_address(const std::string& text);

struct ListeningSocket {
  int fd = -1;
  std::string address;  // with the port that was given
};
// A socket file that nobody listens on any more is replaced; kConflict when somebody does.
Result<ListeningSocket> listen_on(const std::string& text);
// Closes, and removes the socket file.
void close_listening(ListeningSocket& socket);

// A socket on which connect() was begun; -1 with errno.
int start_connect(const SocketAddress& address);
// Buffers large enough for a few pieces, TCP_NODELAY.
void tune_socket(int fd, int family);

}  // namespace regroup
