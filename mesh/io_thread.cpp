#include "mesh/io_thread.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace regroup::mesh {
namespace {

using std::chrono::milliseconds;
constexpr int kMostEvents = 256;

// Many peers, two sockets each: the usual soft limit of 1,024 is soon reached.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

IoThread::IoThread(const Options& options, Events events, MeshState& state)
    : options_(options), events_(std::move(events)), state_(state), running_clock_(options.heartbeat) {}

Result<std::string> IoThread::start() {
  raise_file_limit();
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (epoll_ < 0 || wake_ < 0) return Error{Code::kInternal, std::string("mesh: epoll: ") + std::strerror(errno)};
  epoll_event event{EPOLLIN, {.ptr = &wake_target_}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  connector_ =
      std::make_unique<Connector>(*this, epoll_, options_.self, options_.secret, options_.heartbeat, state_.counters);
  auto address = connector_->listen(options_.listen);
  if (!address) return address;
  sigset_t all, before;  // signals are for the main thread
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_setname_np(thread_.native_handle(), "mesh-io");
  return address;
}

IoThread::~IoThread() {
  if (thread_.joinable()) {
    stopping_ = true;
    submit(Resume{});
    thread_.join();
  }
  const Error closed{Code::kPeerLost, "the mesh was closed"};
  take_commands();
  for (const auto& [id, link] : links_.mine()) disconnect(link, closed);
  finish_enter(closed);
  for (const auto& [id, link] : links_.mine()) link->lanes.change([](auto& lanes) { lanes = {}; });
  connector_.reset();
  if (wake_ >= 0) ::close(wake_);
  if (epoll_ >= 0) ::close(epoll_);
}

void IoThread::submit(Command command) {
  {
    const LockGuard lock(commands_mutex_);
    commands_.push_back(std::move(command));
  }
  // The loop sets asleep_, then looks at the list; we fill the list, then look at asleep_: one of us sees the other.
  if (asleep_.load()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(wake_, &one, sizeof(one));
  }
}

bool IoThread::connected(const WorkerId& peer) {
  const auto link = links_.look([&](const auto& links) {
    const auto found = links.find(peer);
    return found == links.end() ? nullptr : found->second;
  });
  return link && link->lanes.look([](const auto& lanes) { return lanes[0] && lanes[1]; });
}

void IoThread::run() {
  now_ = Clock::now();
  next_tick_ = next_beat_ = now_;
  while (!stopping_) {
    take_commands();
    serve(ready_control_, 16, 16);
    serve(ready_bulk_, 4, 1);
    wait_and_dispatch();
    if (now_ >= next_tick_) tick();
    if (now_ >= connector_->next_tick()) connector_->tick(now_);
    check_enter();
    connector_->sweep();
    closed_.clear();
  }
}

void IoThread::wait_and_dispatch() {
  asleep_ = true;
  bool busy = !ready_control_.empty() || !ready_bulk_.empty() || stopping_;
  {
    const LockGuard lock(commands_mutex_);
    busy = busy || !commands_.empty();
  }
  int timeout = 0;
  if (!busy) {
    const auto next = std::min(next_tick_, connector_->next_tick());
    timeout = static_cast<int>(
        std::clamp<std::int64_t>(std::chrono::ceil<milliseconds>(next - Clock::now()).count(), 0, 60'000));
  }
  epoll_event events[kMostEvents];
  const int count = ::epoll_wait(epoll_, events, kMostEvents, timeout);
  asleep_ = false;
  now_ = Clock::now();
  running_ = running_clock_.look(now_.time_since_epoch());
  for (int i = 0; i < count; ++i) {
    auto* target = static_cast<EpollTarget*>(events[i].data.ptr);
    switch (target->kind) {
      case EpollTarget::Kind::kWake: {
        std::uint64_t sum = 0;
        [[maybe_unused]] const auto n = ::read(wake_, &sum, sizeof(sum));
        break;
      }
      case EpollTarget::Kind::kListener:
        connector_->on_listener(now_);
        break;
      case EpollTarget::Kind::kHandshake:
        connector_->on_event(static_cast<HandshakeSocket*>(target), events[i].events, now_);
        break;
      case EpollTarget::Kind::kConnection: {
        auto* raw = static_cast<Connection*>(target);
        const auto connection = raw->link->at(raw->lane);
        if (connection.get() != raw) break;  // closed within this batch
        if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) connection->readable = true;
        if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) connection->hung_up = true;
        if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) connection->on_writable();
        if (connection->paused && connection->hung_up) {
          on_broken(connection, "closed while more had come than may be kept");
        } else {
          list(connection);
        }
      }
    }
  }
}

void IoThread::take_commands() {
  std::vector<Command> commands;
  {
    const LockGuard lock(commands_mutex_);
    commands.swap(commands_);
  }
  for (Command& command : commands) {
    std::visit([this](auto& c) { on(c); }, command);
  }
}

void IoThread::on(Warm& command) { want(command.peers); }

void IoThread::on(SendLarge& command) {
  Error why;
  if (command.link->arrivals.over(command.send->epoch, why)) return command.send->fail(why);
  const auto connection = command.link->at(command.lane);
  if (!connection) return command.send->fail({Code::kPeerLost, to_string(command.link->id) + " is not connected"});
  connection->queue_large(std::move(command.send));
  list(connection);
}

void IoThread::on(SendSmall& command) {
  command.connection->queue_small(std::move(command.bytes));
  list(command.connection);
}

}  // namespace regroup::mesh
