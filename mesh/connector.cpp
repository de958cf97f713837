#include "mesh/connector.hpp"

#include "base/log.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace regroup::mesh {
namespace {

using std::chrono::milliseconds;
constexpr std::size_t kMostStrangers = 4096;  // handshakes of others under way; more are turned away
constexpr std::array<Lane, 2> kLanes = {Lane::kControl, Lane::kBulk};

std::shared_ptr<Connection>& lane_of(Link& link, Lane lane) { return link.lanes[static_cast<std::size_t>(lane)]; }
Attempt& attempt_of(Link& link, Lane lane) { return link.attempts[static_cast<std::size_t>(lane)]; }

}  // namespace

Connector::Connector(Owner& owner, int epoll_fd, WorkerId self, std::string secret, milliseconds heartbeat,
                     MeshCounters& counters)
    : owner_(owner),
      epoll_fd_(epoll_fd),
      self_(std::move(self)),
      secret_(std::move(secret)),
      heartbeat_(heartbeat),
      counters_(counters) {}

Connector::~Connector() {
  for (auto& [raw, socket] : sockets_) ::close(socket->fd);
  close_listening(listener_);
}

Result<std::string> Connector::listen(const std::string& address) {
  auto listening = listen_on(address, Buffers::kLarge);
  if (!listening) return listening.error();
  listener_ = std::move(*listening);
  epoll_event event{EPOLLIN, {.ptr = &listener_target_}};
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, listener_.fd, &event) != 0)
    return Error{Code::kInternal, std::string("epoll_ctl: ") + std::strerror(errno)};
  return listener_.address;
}

void Connector::want(const std::shared_ptr<Link>& link, Link::Wish wish, Time now) {
  link->wish = wish;
  wanted_.insert(link);
  for (Lane lane : kLanes) {
    attempt_of(*link, lane).failures = 0;
    attempt_of(*link, lane).next = now;
    if (!lane_of(*link, lane) && !attempt_of(*link, lane).active) dial(link, lane, now);
  }
}

void Connector::stop(const std::shared_ptr<Link>& link) {
  link->wish = Link::Wish::kNone;
  wanted_.erase(link);
  for (Attempt& attempt : link->attempts) {
    if (attempt.active) drop_socket(attempt.active);
  }
}

void Connector::dial(const std::shared_ptr<Link>& link, Lane lane, Time now) {
  if (link->wish == Link::Wish::kNone || !link->address) return;
  const int fd = start_connect(*link->address, Buffers::kLarge);
  if (fd < 0) return failed(link, lane, now, errno == ECONNREFUSED || errno == ENOENT, std::strerror(errno));
  auto socket = std::make_unique<HandshakeSocket>(fd, Handshake::dial(self_, link->id, lane, secret_));
  socket->link = link;
  socket->connecting = true;
  socket->deadline = now + std::max(5 * heartbeat_, milliseconds(1000));
  epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = static_cast<EpollTarget*>(socket.get())}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  attempt_of(*link, lane).active = socket.get();
  sockets_.emplace(socket.get(), std::move(socket));
}

void Connector::failed(const std::shared_ptr<Link>& link, Lane lane, Time now, bool refused,
                       const std::string& reason) {
  Attempt& attempt = attempt_of(*link, lane);
  ++attempt.failures;
  attempt.next = now + std::min(milliseconds(1 << std::min(attempt.failures, 10)), heartbeat_);
  // A listener that closes without a word is one that is just dying: the next try is refused.
  if (refused || (link->wish == Link::Wish::kRedial && attempt.failures >= 4)) owner_.on_refused(link, reason);
}

void Connector::on_listener(Time now) {
  for (;;) {
    const int fd = ::accept4(listener_.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) log::warn("mesh_accept_failed", {{"reason", std::strerror(errno)}});
      return;
    }
    if (num_strangers_ >= kMostStrangers) {
      ++counters_.refused;
      ::close(fd);
      continue;
    }
    sockaddr_storage name{};
    socklen_t length = sizeof(name);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
    tune_socket(fd, name.ss_family, Buffers::kLarge);
    auto socket = std::make_unique<HandshakeSocket>(fd, Handshake::listen(self_, secret_));
    socket->deadline = now + std::max(5 * heartbeat_, milliseconds(1000));
    ++num_strangers_;
    epoll_event event{EPOLLIN | EPOLLRDHUP | EPOLLET, {.ptr = static_cast<EpollTarget*>(socket.get())}};
    ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
    sockets_.emplace(socket.get(), std::move(socket));
  }
}

bool Connector::flush(HandshakeSocket* socket) {
  std::string& output = socket->handshake.output();
  if (output.empty()) return true;
  const ssize_t n = ::send(socket->fd, output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n > 0) output.erase(0, static_cast<std::size_t>(n));
  return output.empty();  // a fresh socket takes a few hundred bytes, or it is broken
}

void Connector::on_event(HandshakeSocket* socket, std::uint32_t, Time now) {
  if (!sockets_.contains(socket)) return;
  if (socket->connecting) {
    int error = 0;
    socklen_t length = sizeof(error);
    ::getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
      const auto link = socket->link;
      const Lane lane = socket->handshake.lane();
      drop_socket(socket);
      return failed(link, lane, now, error == ECONNREFUSED, std::strerror(error));
    }
    sockaddr_storage name{};
    length = sizeof(name);
    if (::getpeername(socket->fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) return;  // not yet
    socket->connecting = false;
    socket->hello_sent = true;
    flush(socket);
  }
  advance(socket, now);
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
      if (lane_of(*link, lane)) return drop_socket(socket);
      socket->handshake.prove();
      flush(socket);
      next = socket->handshake.feed({});
    }
    if (next == Next::kMore) continue;
    if (next == Next::kAccepted) return accepted(socket);
    if (next == Next::kDecide && decide(socket, now)) return;
    if (next == Next::kYield) {
      drop_socket(socket);
      attempt_of(*link, lane).next = now + milliseconds(10);
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
  const auto live = link ? lane_of(*link, socket->handshake.lane()) : nullptr;
  socket->seen_instance = live ? live->instance : 0;
}

bool Connector::decide(HandshakeSocket* socket, Time) {
  const Lane lane = socket->handshake.lane();
  const auto link = owner_.make_link(socket->handshake.peer());
  Attempt& own = attempt_of(*link, lane);
  const auto& live = lane_of(*link, lane);
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

int Connector::release_socket(HandshakeSocket* socket) {
  const auto found = sockets_.find(socket);
  const int fd = socket->fd;
  if (socket->link) {
    for (Attempt& attempt : socket->link->attempts) {
      if (attempt.active == socket) attempt.active = nullptr;
    }
  } else {
    --num_strangers_;
  }
  closed_.push_back(std::move(found->second));
  sockets_.erase(found);
  return fd;
}

void Connector::drop_socket(HandshakeSocket* socket) { ::close(release_socket(socket)); }

void Connector::tick(Time now) {
  std::vector<HandshakeSocket*> late;
  for (auto& [raw, socket] : sockets_) {
    if (now >= socket->deadline) late.push_back(raw);
  }
  for (HandshakeSocket* socket : late) {
    if (!sockets_.contains(socket)) continue;
    const auto link = socket->link;
    const Lane lane = socket->handshake.lane();
    if (!link) ++counters_.refused;
    drop_socket(socket);
    if (link) failed(link, lane, now, false, "no answer");
  }
  const std::vector<std::shared_ptr<Link>> wanted(wanted_.begin(), wanted_.end());
  for (const auto& link : wanted) {
    if (link->connected() || link->wish == Link::Wish::kNone) {
      wanted_.erase(link);
      continue;
    }
    if (link->wish == Link::Wish::kRedial && now >= link->redial_until) {
      owner_.on_refused(link, "no answer to the redial");
      continue;
    }
    for (Lane lane : kLanes) {
      Attempt& attempt = attempt_of(*link, lane);
      if (!lane_of(*link, lane) && !attempt.active && now >= attempt.next) dial(link, lane, now);
    }
  }
}

Connector::Time Connector::next_tick() const {
  Time soonest = Time::max();
  for (const auto& link : wanted_) {
    if (link->wish == Link::Wish::kRedial) soonest = std::min(soonest, link->redial_until);
    for (std::size_t lane = 0; lane < 2; ++lane) {
      if (!link->lanes[lane] && !link->attempts[lane].active) soonest = std::min(soonest, link->attempts[lane].next);
    }
  }
  for (const auto& [raw, socket] : sockets_) soonest = std::min(soonest, socket->deadline);
  return soonest;
}

}  // namespace regroup::mesh
