// connector_handshake.cpp: the words of a handshake come and go, and which of two connections stays. Part of Connector
// (connector.hpp).
#include "base/log.hpp"
#include "mesh/connector.hpp"

#include <sys/socket.h>

#include <bit>
#include <cerrno>

namespace regroup::mesh {

bool Connector::flush(HandshakeSocket* socket) {
  std::string& output = socket->handshake.output();
  if (output.empty()) return true;
  const ssize_t n = ::send(socket->fd, output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) output.erase(0, static_cast<std::size_t>(n));
  return output.empty();  // a fresh socket takes a few hundred bytes, or it is broken
}

void Connector::advance(HandshakeSocket* socket, Time now) {
  using Next = Handshake::Next;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::recv(socket->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    const bool dialler = socket->link != nullptr;
    const auto link = socket->link;
    const Lane lane = socket->handshake.lane();
    if (n <= 0) {
      if (!dialler) ++counters_.refused;
      drop_socket(socket);
      if (dialler) failed(link, lane, now, false, "closed during the handshake");
      return;
    }
    Next next = socket->handshake.feed({buffer, static_cast<std::size_t>(n)});
    if (next == Next::kHello) {
      on_hello(socket);
      flush(socket);
      next = socket->handshake.feed({});
    }
    if (next == Next::kProve) {
      if (link->at(lane)) return drop_socket(socket);
      socket->handshake.prove();
      flush(socket);
      next = socket->handshake.feed({});
    }
    if (next == Next::kMore) continue;
    if (next == Next::kAccepted) return accepted(socket);
    if (next == Next::kDecide && decide(socket, now)) return;
    if (next == Next::kYield) {
      drop_socket(socket);
      link->attempt(lane).next = now + std::chrono::milliseconds(10);
      return;
    }
    if (next == Next::kRefused) {
      const auto count = ++counters_.refused;
      flush(socket);
      const std::string reason = socket->handshake.reason();
      if (std::has_single_bit(count)) {  // strangers must not fill the log
        log::warn("mesh_peer_refused", {{"peer", to_string(socket->handshake.peer())},
                                        {"dialled", dialler},
                                        {"reason", reason},
                                        {"refused_so_far", count}});
      }
      drop_socket(socket);
      if (dialler) failed(link, lane, now, true, reason);
      return;
    }
  }
}

void Connector::on_hello(HandshakeSocket* socket) {
  const auto link = owner_.find_link(socket->handshake.peer());
  const auto live = link ? link->at(socket->handshake.lane()) : nullptr;
  socket->seen_instance = live ? live->instance : 0;
}

bool Connector::decide(HandshakeSocket* socket, Time) {
  const Lane lane = socket->handshake.lane();
  const auto link = owner_.make_link(socket->handshake.peer());
  Attempt& own = link->attempt(lane);
  const auto& live = link->at(lane);
  const bool own_dial_wins = self_ > link->id && own.active && own.active->hello_sent;
  const bool came_meanwhile = self_ > link->id && live && live->instance != socket->seen_instance;
  if (own_dial_wins || came_meanwhile) {
    socket->handshake.decide(Handshake::Verdict::kYield);
    flush(socket);
    drop_socket(socket);
    return true;
  }
  if (own.active) drop_socket(own.active);
  socket->handshake.decide(Handshake::Verdict::kAccepted);
  if (!flush(socket)) {
    drop_socket(socket);
    return true;
  }
  const std::string first = socket->handshake.leftover();
  const int fd = release_socket(socket);
  owner_.on_connection(link, lane, fd, first);
  return true;
}

void Connector::accepted(HandshakeSocket* socket) {
  const auto link = socket->link;
  const Lane lane = socket->handshake.lane();
  const std::string first = socket->handshake.leftover();
  const int fd = release_socket(socket);
  owner_.on_connection(link, lane, fd, first);
}

}  // namespace regroup::mesh
