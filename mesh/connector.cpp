#include "mesh/connector.hpp"

#include "base/log.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace regroup::mesh {
namespace {

using std::chrono::milliseconds;
constexpr std::size_t kMostStrangers = 4096;  // handshakes of others under way; more are turned away
constexpr milliseconds kRest{100};            // of a listener that cannot accept: no file is free, as a rule
constexpr milliseconds kComplainEvery{1000};
constexpr std::array<Lane, 2> kLanes = {Lane::kControl, Lane::kBulk};

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

void Connector::watch_listener(bool on) {
  epoll_event event{on ? EPOLLIN : 0u, {.ptr = &listener_target_}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, listener_.fd, &event);
}

// Whoever dials waits meanwhile in the listener's queue, which would be reported again and again.
void Connector::rest(Time now, const char* reason) {
  watch_listener(false);
  accept_again_ = now + kRest;
  if (now < complain_again_) return;
  complain_again_ = now + kComplainEvery;
  log::warn("mesh_accept_failed", {{"reason", reason}, {"again_after_ms", kRest.count()}});
}

void Connector::want(const std::shared_ptr<Link>& link, Link::Wish wish, Time now) {
  link->wish = wish;
  wanted_.insert(link);
  for (Lane lane : kLanes) {
    link->attempt(lane).failures = 0;
    link->attempt(lane).next = now;
    if (!link->at(lane) && !link->attempt(lane).active) dial(link, lane, now);
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
  link->attempt(lane).active = socket.get();
  sockets_.emplace(socket.get(), std::move(socket));
}

void Connector::failed(const std::shared_ptr<Link>& link, Lane lane, Time now, bool refused,
                       const std::string& reason) {
  Attempt& attempt = link->attempt(lane);
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
      if (errno != EAGAIN && errno != EWOULDBLOCK) rest(now, std::strerror(errno));
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
  if (now >= accept_again_) {
    accept_again_ = Time::max();
    watch_listener(true);
  }
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
      Attempt& attempt = link->attempt(lane);
      if (!link->at(lane) && !attempt.active && now >= attempt.next) dial(link, lane, now);
    }
  }
}

Connector::Time Connector::next_tick() const {
  Time soonest = accept_again_;
  for (const auto& link : wanted_) {
    if (link->wish == Link::Wish::kRedial) soonest = std::min(soonest, link->redial_until);
    for (Lane lane : kLanes) {
      const Attempt& attempt = link->attempt(lane);
      if (!link->at(lane) && !attempt.active) soonest = std::min(soonest, attempt.next);
    }
  }
  for (const auto& [raw, socket] : sockets_) soonest = std::min(soonest, socket->deadline);
  return soonest;
}

}  // namespace regroup::mesh
