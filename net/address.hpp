// address.hpp: "unix:PATH" and "tcp:HOST:PORT" as sockets that listen and that connect.
//
// Every address of Regroup is one of these: where a worker's mesh listens, and an agent's peer port; as texts
// they are read in base/address_text.hpp. All sockets are non-blocking and close on exec. Any thread.
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

// Resolves host names, which may block. kBadInput: of neither form, or too long; kNotFound: no such host;
// kUnavailable: the name server did not answer.
Result<SocketAddress> parse_address(const std::string& text);

// kBadInput: `host` is not the name or address of a host alone (it has a port), or stands for every address of this
// host (0.0.0.0, ::), which nobody else can dial. Resolves nothing.
Result<void> check_host(const std::string& host);

// kLarge holds a few pieces of bulk and is for the few connections of a mesh; the system's grow with the traffic.
enum class Buffers { kSystem, kLarge };

struct ListeningSocket {
  int fd = -1;
  std::string address;  // to dial, with the port that was given
};
// A socket file that nobody listens on any more is replaced; a new one is its owner's alone (0600). kConflict: somebody
// listens there; kUnavailable: the system does not let us; and the errors of parse_address.
Result<ListeningSocket> listen_on(const std::string& text, Buffers buffers);
// Closes, and removes the socket file.
void close_listening(ListeningSocket& socket);

// A socket on which connect() was begun; -1 with errno. EAGAIN: a Unix listener's queue is full, try again.
int start_connect(const SocketAddress& address, Buffers buffers);
// The buffers, and TCP_NODELAY where it is TCP.
void tune_socket(int fd, int family, Buffers buffers);

}  // namespace regroup
