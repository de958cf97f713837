#include "mesh/connection.hpp"

#include "base/log.hpp"
#include "mesh/link.hpp"
#include "mesh/peer_memory.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace regroup::mesh {
namespace {

constexpr std::uint32_t kWatched = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr std::size_t kBulkHeadBytes = 4096;  // read ahead on the bulk lane: payload should go straight to its place

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
    counters_.bytes_sent += sent;
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
  counters_.bytes_sent += written;
  if (result == Outbox::Write::kBlocked) blocked_ = true;
  if (result != Outbox::Write::kMore) watch_writable(blocked_);
  return result;
}

Connection::Read Connection::read_some(ReadScratch& scratch, std::size_t& bytes) {
  bytes = 0;
  if (paused) {
    if (const Read opened = open_piece(); opened != Read::kMore) return opened;
    paused = false;
    const std::vector<std::byte> rest = std::move(backlog_);
    backlog_.clear();
    const Read result = feed(rest);
    if (result != Read::kMore) return result;
  }
  if (message_ && message_->discard) target_ = nullptr;
  iovec iov[2];
  std::size_t count = 0, direct = 0;
  if (piece_left_ > 0) {
    direct = target_ ? piece_left_ : std::min(piece_left_, scratch.waste.size());
    iov[count++] = {target_ ? target_ : scratch.waste.data(), direct};
  }
  const std::size_t ahead = piece_left_ > 0 ? (direct == piece_left_ ? kFrameBytes : 0)
                                            : (lane == Lane::kControl ? scratch.small.size() : kBulkHeadBytes);
  if (ahead > 0) iov[count++] = {scratch.small.data(), ahead};
  msghdr message{};
  message.msg_iov = iov;
  message.msg_iovlen = count;
  const ssize_t n = ::recvmsg(read_fd_, &message, MSG_DONTWAIT);
  if (n == 0) return Read::kEof;
  if (n < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? Read::kDrained : errno == EINTR ? Read::kMore : Read::kEof;
  bytes = static_cast<std::size_t>(n);
  counters_.bytes_received += bytes;
  const std::size_t placed = std::min(bytes, direct);
  if (placed > 0) advance(placed);
  const Read result = feed({scratch.small.data(), bytes - placed});
  if (result != Read::kMore) return result;
  // a short read has emptied a stream socket; the end of the file must be read
  return bytes < direct + ahead && !hung_up ? Read::kDrained : Read::kMore;
}

Connection::Read Connection::take_first(std::string_view bytes) { return feed(std::as_bytes(std::span(bytes))); }

Connection::Read Connection::feed(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (piece_left_ > 0) {
      const std::size_t part = std::min(piece_left_, bytes.size());
      if (target_) std::memcpy(target_, bytes.data(), part);
      advance(part);
      bytes = bytes.subspan(part);
      continue;
    }
    const std::size_t head_bytes = head_have_ < kFrameBytes ? kFrameBytes : head_.size();
    const std::size_t part = std::min(head_bytes - head_have_, bytes.size());
    std::memcpy(head_.data() + head_have_, bytes.data(), part);
    head_have_ += part;
    bytes = bytes.subspan(part);
    if (head_have_ < head_bytes) break;
    if (head_have_ == kFrameBytes) {
      if (!decode_frame(head_.data(), frame_)) return Read::kBadFrame;
      if (frame_.type == FrameType::kOffer) continue;
    }
    const Read taken = take_frame();
    if (taken == Read::kPaused) {
      paused = true;
      backlog_.assign(bytes.begin(), bytes.end());
    }
    if (taken != Read::kMore) return taken;
  }
  return Read::kMore;
}

Connection::Read Connection::take_frame() {
  switch (frame_.type) {
    case FrameType::kData:
    case FrameType::kOffer:
      if (frame_.total > max_message_bytes_) return Read::kBadFrame;
      return open_piece();
    case FrameType::kBeat:
      beat_ = frame_;
      break;
    case FrameType::kReach:
      reach(frame_);
      break;
    case FrameType::kReachable: {
      if (!reads_memory_) return Read::kBadFrame;  // we did not ask
      log::debug("mesh_peer_reads_our_memory", {{"peer", to_string(link->id)}});
      const LockGuard lock(mutex_);
      outbox_.offer_from_now_on();
      break;
    }
    case FrameType::kTaken:
      ++answers_;
      break;
  }
  head_have_ = 0;
  return Read::kMore;
}

void Connection::advance(std::size_t bytes) {
  piece_left_ -= bytes;
  if (target_) target_ += bytes;
  if (piece_left_ == 0) finish_piece();
}

void Connection::finish_piece() {
  if (message_) {
    if (frame_.offset + frame_.length == frame_.total) ++counters_.messages_received;
    link->inbox.end_piece(frame_, message_);
  }
  message_.reset();
  target_ = nullptr;
}

}  // namespace regroup::mesh
