#include "agent/snapshots/peer_server.hpp"

#include "agent/snapshots/peer_requests.hpp"
#include "api/snapshots/peer_wire.hpp"
#include "base/log.hpp"
#include "base/now.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace regroup::agent {
namespace {

constexpr std::chrono::milliseconds kToProve{200};  // for a stranger, before another one may take its place
constexpr std::chrono::milliseconds kBetweenSigns{200};
constexpr std::chrono::minutes kMostRest{10};  // a buddy's connection is kept from one snapshot to the next

auto longest(const auto& since) {
  return std::min_element(since.begin(), since.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
}

}  // namespace

struct PeerServer::Connection {
  Connection(int fd, std::chrono::milliseconds idle) : socket(fd, idle) {}
  PeerSocket socket;
  std::thread thread;
};

PeerServer::PeerServer(ListeningSocket listener, int stop, std::chrono::milliseconds idle, const PeerLimits& limits,
                       std::function<std::shared_ptr<Shelf>()> shelf_now)
    : listener_(std::move(listener)),
      stop_(stop),
      idle_(idle),
      limits_(limits),
      shelf_now_(std::move(shelf_now)),
      copies_(std::make_shared<RegionPool>()),
      acceptor_([this] { accept_loop(); }) {}

PeerServer::~PeerServer() {
  const std::uint64_t one = 1;
  (void)!::write(stop_, &one, sizeof one);
  acceptor_.join();
  {
    const LockGuard lock(mutex_);
    for (Connection& connection : connections_) ::shutdown(connection.socket.fd(), SHUT_RDWR);
  }
  for (Connection& connection : connections_) connection.thread.join();
  close_listening(listener_);
  ::close(stop_);
}

void PeerServer::accept_loop() {
  int pause_ms = -1;
  for (;;) {
    pollfd entries[2] = {{stop_, POLLIN, 0}, {listener_.fd, static_cast<short>(pause_ms < 0 ? POLLIN : 0), 0}};
    ::poll(entries, 2, pause_ms);
    if (entries[0].revents != 0) return;
    pause_ms = -1;
    reap();
    if (const auto pause = until_room()) {
      pause_ms = static_cast<int>(pause->count());
      continue;
    }
    const int fd = ::accept4(listener_.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      admit(fd);
    } else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      log::warn("peer_port_busy", {{"error", std::strerror(errno)}});
      pause_ms = 100;  // out of descriptors: there is nothing to do but to wait for some
    }
  }
}

std::optional<std::chrono::milliseconds> PeerServer::until_room() {
  const LockGuard lock(mutex_);
  if (strangers_.size() < limits_.strangers) return std::nullopt;
  const auto oldest = longest(strangers_);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(oldest->second + kToProve - Clock::now());
  if (left.count() > 0) return left;
  ::shutdown(oldest->first->socket.fd(), SHUT_RDWR);
  strangers_.erase(oldest);
  return std::nullopt;
}

void PeerServer::admit(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on a Unix socket, which needs none
  const LockGuard lock(mutex_);
  if (connections_.size() >= limits_.connections && !make_room_locked()) {
    ::close(fd);
    return;
  }
  Connection& connection = connections_.emplace_back(fd, idle_);
  try {
    connection.thread = std::thread([this, &connection] { run(connection); });
    strangers_[&connection] = Clock::now();
  } catch (const std::system_error& e) {
    log::warn("peer_port_busy", {{"error", e.what()}});
    connections_.pop_back();
  }
}

void PeerServer::run(Connection& connection) {
  serve(connection);
  const LockGuard lock(mutex_);
  done_.insert(&connection);
  strangers_.erase(&connection);
  resting_.erase(&connection);
  // the peer learns at once; the descriptor goes when the thread is joined
  ::shutdown(connection.socket.fd(), SHUT_RDWR);
}

bool PeerServer::make_room_locked() {
  const auto oldest = longest(resting_);
  if (oldest == resting_.end()) return false;
  ::shutdown(oldest->first->socket.fd(), SHUT_RDWR);
  resting_.erase(oldest);
  return true;
}

void PeerServer::reap() {
  std::list<Connection> ended;
  {
    const LockGuard lock(mutex_);
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto next = std::next(it);
      if (done_.erase(&*it) > 0) ended.splice(ended.end(), connections_, it);
      it = next;
    }
  }
  for (Connection& connection : ended) connection.thread.join();
}

void PeerServer::serve(Connection& connection) {
  PeerSocket& socket = connection.socket;
  std::shared_ptr<Shelf> shelf;
  socket.set_until(Clock::now() + idle_);
  const auto job = admit_client(socket, [&](const std::string& name) {
    shelf = shelf_now_();
    return shelf && shelf->job().name == name ? shelf->job().secret : std::string();
  });
  if (!job) {
    log::debug("peer_refused", {{"error", to_string(job.error())}});
    return;
  }
  socket.clear_until();
  {
    const LockGuard lock(mutex_);
    strangers_.erase(&connection);
  }
  while (rest(connection)) {
    auto request = socket.read_frame(kPeerMaxFrame);
    auto answered = request ? answer_in_turn(socket, *shelf, *request) : Result<void>(request.error());
    if (answered) continue;
    log::debug("peer_connection_ended", {{"error", to_string(answered.error())}});
    return;
  }
}

Result<void> PeerServer::answer_in_turn(PeerSocket& socket, Shelf& shelf, const std::string& request) {
  while (!turn_soon()) {
    if (auto told = socket.write_frame(kPeerWait); !told) return told;
  }
  auto answered = answer(socket, shelf, *copies_, request);
  end_turn();
  return answered;
}

bool PeerServer::turn_soon() {
  Lock lock(mutex_);
  const bool is_free = turn_ended_.wait_for(lock, kBetweenSigns,
                                            [this]() REGROUP_REQUIRES(mutex_) { return at_work_ < limits_.at_work; });
  if (is_free) ++at_work_;
  return is_free;
}

void PeerServer::end_turn() {
  const LockGuard lock(mutex_);
  --at_work_;
  turn_ended_.notify_all();
}

bool PeerServer::rest(Connection& connection) {
  {
    const LockGuard lock(mutex_);
    resting_[&connection] = Clock::now();
  }
  pollfd entry{connection.socket.fd(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kMostRest).count()));
  } while (ready < 0 && errno == EINTR);
  const LockGuard lock(mutex_);
  resting_.erase(&connection);
  return ready > 0;
}

Result<std::unique_ptr<PeerServer>> PeerServer::start(const std::string& listen, std::chrono::milliseconds idle,
                                                      const PeerLimits& limits,
                                                      std::function<std::shared_ptr<Shelf>()> shelf_now) {
  auto listener = listen_on(listen, Buffers::kSystem);
  if (!listener) return listener.error().within("the peer port");
  const int stop = ::eventfd(0, EFD_CLOEXEC);
  if (stop < 0) {
    const Error error{Code::kUnavailable, "the peer port at " + listen + ": " + std::strerror(errno)};
    close_listening(*listener);
    return error;
  }
  return std::unique_ptr<PeerServer>(new PeerServer(std::move(*listener), stop, idle, limits, std::move(shelf_now)));
}

}  // namespace regroup::agent
