#include "mesh/connection.hpp"

#include "mesh/link.hpp"
#include "mesh/peer_memory.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

namespace regroup::mesh {
namespace {

constexpr std::uint32_t kWatched = EPOLLIN | EPOLLRDHUP | EPOLLET;

std::uint64_t next_instance() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

Connection::Connection(int epoll_fd, int fd, Lane l, std::shared_ptr<Link> to, const Options& options,
                       MeshCounters& counters)
    : EpollTarget(Kind::kConnection),
      lane(l),
      link(std::move(to)),
      instance(next_instance()),
      epoll_fd_(epoll_fd),
      max_message_bytes_(options.max_message_bytes),
      reads_memory_(l == Lane::kBulk && options.read_peer_memory),
      reach_word_(fresh_word()),
      counters_(counters),
      fd_(fd),
      read_fd_(fd) {}

Connection::~Connection() {
  if (fd_ >= 0) ::close(fd_);
}

void Connection::start() {
  epoll_event event{kWatched, {.ptr = static_cast<EpollTarget*>(this)}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, read_fd_, &event);
  if (reads_memory_)
    send_frame({FrameType::kReach, static_cast<std::uint64_t>(::getpid()),
                reinterpret_cast<std::uint64_t>(&reach_word_), reach_word_});
}

void Connection::watch_writable(bool on) {
  if (watching_ == on) return;
  watching_ = on;
  epoll_event event{on ? kWatched | EPOLLOUT : kWatched, {.ptr = static_cast<EpollTarget*>(this)}};
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd_, &event);
}

bool Connection::try_send_small(std::span<const std::byte> frame, std::span<const std::byte> payload) {
  if (!mutex_.try_lock()) return false;
  const LockGuard lock(mutex_, std::adopt_lock);
  send_small(frame, payload);
  return true;
}

void Connection::send_frame(const Frame& frame) {
  std::array<std::byte, kFrameBytes> bytes;
  encode_frame(frame, bytes.data());
  const LockGuard lock(mutex_);
  send_small(bytes, {});
}

void Connection::send_small(std::span<const std::byte> frame, std::span<const std::byte> payload) {
  if (fd_ < 0) return;  // lost: receives from this peer say so
  std::size_t sent = 0;
  const bool direct = outbox_.idle() && !blocked_;
  if (direct) {
    iovec iov[2] = {{const_cast<std::byte*>(frame.data()), frame.size()},
                    {const_cast<std::byte*>(payload.data()), payload.size()}};
    msghdr message{};
    message.msg_iov = iov;
    message.msg_iovlen = payload.empty() ? 1 : 2;
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) sent = static_cast<std::size_t>(n);
    if (sent == frame.size() + payload.size()) return;
  }
  std::vector<std::byte> bytes(frame.begin(), frame.end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  outbox_.push_small(std::move(bytes), sent);
  if (direct) {
    blocked_ = true;
    watch_writable(true);
  }
}

void Connection::queue_small(std::vector<std::byte> frame_and_payload) {
  const LockGuard lock(mutex_);
  if (fd_ >= 0) outbox_.push_small(std::move(frame_and_payload));
}

void Connection::queue_large(TransferPtr send) {
  const LockGuard lock(mutex_);
  outbox_.push_large(std::move(send));
}

void Connection::queue_beat(const Frame& beat) {
  const LockGuard lock(mutex_);
  outbox_.set_beat(beat);
}

bool Connection::taken(int offers) {
  const LockGuard lock(mutex_);
  for (; offers > 0; --offers) {
    if (!outbox_.taken()) return false;
  }
  return true;
}

void Connection::cut(Epoch below, const Error& why) {
  const LockGuard lock(mutex_);
  outbox_.cut(below, why);
}

void Connection::on_writable() {
  const LockGuard lock(mutex_);
  blocked_ = false;
}

void Connection::close(const Error& why) {
  const LockGuard lock(mutex_);
  outbox_.cut(Epoch{~0ull}, why);
  if (fd_ < 0) return;
  ::close(fd_);
  fd_ = read_fd_ = -1;
  message_.reset();
  target_ = nullptr;
}

Outbox::Write Connection::write_some(std::size_t piece_bytes) {
  const LockGuard lock(mutex_);
  if (fd_ < 0) return Outbox::Write::kIdle;
  if (blocked_) return Outbox::Write::kBlocked;
  std::size_t written = 0;
  const Outbox::Write result = outbox_.write_some(fd_, piece_bytes, written);
  if (result == Outbox::Write::kBlocked) blocked_ = true;
  if (result != Outbox::Write::kMore) watch_writable(blocked_);
  return result;
}

}  // namespace regroup::mesh
