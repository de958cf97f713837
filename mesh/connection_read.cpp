// connection_read.cpp: what comes through the socket is cut into frames. Part of Connection (connection.hpp).
#include "base/log.hpp"
#include "mesh/link.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace regroup::mesh {
namespace {

constexpr std::size_t kBulkHeadBytes = 4096;  // read ahead on the bulk lane: payload should go straight to its place

}  // namespace

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
  if (message_) link->arrivals.end_piece(frame_, message_);
  message_.reset();
  target_ = nullptr;
}

}  // namespace regroup::mesh
