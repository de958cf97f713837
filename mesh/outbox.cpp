#include "mesh/outbox.hpp"

#include "mesh/peer_memory.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace regroup::mesh {
namespace {

constexpr std::size_t kLeastOffered = 128 * 1024;  // smaller messages are as quick through the socket
constexpr std::size_t kOfferedPieceBytes = 2 * 1024 * 1024;
// under way: while one is read the next is there, and what else comes waits for no more than these
constexpr std::size_t kMostOffers = 2;

// Bytes written; 0 = would block, -1 = broken.
ssize_t write_vector(int fd, iovec* iov, std::size_t count) {
  msghdr message{};
  message.msg_iov = iov;
  message.msg_iovlen = count;
  for (;;) {
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? 0 : -1;
  }
}

}  // namespace

void Outbox::push_small(std::vector<std::byte> frame_and_payload, std::size_t already_written) {
  small_.push_back({std::move(frame_and_payload), already_written});
}

void Outbox::push_large(TransferPtr send) { large_.push_back({std::move(send)}); }

bool Outbox::may_begin_piece() const { return !large_.empty() && (!offers_ || offered_.size() < kMostOffers); }

bool Outbox::idle() const { return small_.empty() && !beat_ && !in_piece() && !may_begin_piece(); }

bool Outbox::taken() {
  if (offered_.empty()) return false;
  const TransferPtr done = std::move(offered_.front());
  offered_.pop_front();
  if (done) done->finish(done->out.size());
  return true;
}

void Outbox::take_beat() {
  if (!beat_ || in_piece() || (!small_.empty() && (small_.front().first || small_.front().sent > 0))) return;
  std::vector<std::byte> bytes(kFrameBytes);
  encode_frame(*beat_, bytes.data());
  beat_.reset();
  small_.push_front({std::move(bytes)});
}

Outbox::Write Outbox::write_some(int fd, std::size_t piece_bytes, std::size_t& written) {
  written = 0;
  take_beat();
  if (!in_piece() && !small_.empty()) return write_small(fd, written);
  if (in_piece() || may_begin_piece()) return write_piece(fd, piece_bytes, written);
  return Write::kIdle;
}

Outbox::Write Outbox::write_small(int fd, std::size_t& written) {
  constexpr std::size_t kMost = 16;
  iovec iov[kMost];
  std::size_t count = 0, wanted = 0;
  for (auto it = small_.begin(); it != small_.end() && count < kMost; ++it, ++count) {
    iov[count] = {it->bytes.data() + it->sent, it->bytes.size() - it->sent};
    wanted += iov[count].iov_len;
  }
  const ssize_t n = write_vector(fd, iov, count);
  if (n < 0) return Write::kBroken;
  written = static_cast<std::size_t>(n);
  for (std::size_t left = written; left > 0;) {
    Small& front = small_.front();
    const std::size_t part = std::min(left, front.bytes.size() - front.sent);
    front.sent += part;
    left -= part;
    if (front.sent == front.bytes.size()) small_.pop_front();
  }
  if (written < wanted) return Write::kBlocked;
  return idle() ? Write::kIdle : Write::kMore;
}

void Outbox::begin_piece(Large& large, std::size_t piece_bytes) const {
  Transfer& send = *large.send;
  large.offered = offers_ && send.out.size() >= kLeastOffered;
  large.piece = std::min(large.offered ? kOfferedPieceBytes : piece_bytes, send.out.size() - large.offset);
  encode_frame({large.offered ? FrameType::kOffer : FrameType::kData, send.epoch.value, send.tag.value, send.out.size(),
                large.offset, static_cast<std::uint32_t>(large.piece)},
               large.header.data());
  if (!large.offered) return;
  if (send.seal == 0) send.seal = fresh_word();
  encode_offer({reinterpret_cast<std::uint64_t>(send.out.data() + large.offset),
                reinterpret_cast<std::uint64_t>(&send.seal), send.seal},
               large.header.data() + kFrameBytes);
}

Outbox::Write Outbox::write_piece(int fd, std::size_t piece_bytes, std::size_t& written) {
  Large& front = large_.front();
  const auto& out = front.send->out;
  if (front.piece_sent == 0) begin_piece(front, piece_bytes);
  iovec iov[2];
  std::size_t count = 0;
  const std::size_t header_bytes = front.header_bytes();
  if (front.piece_sent < header_bytes)
    iov[count++] = {front.header.data() + front.piece_sent, header_bytes - front.piece_sent};
  if (!front.offered) {
    const std::size_t payload_sent = front.piece_sent > header_bytes ? front.piece_sent - header_bytes : 0;
    if (front.piece > payload_sent)
      iov[count++] = {const_cast<std::byte*>(out.data()) + front.offset + payload_sent, front.piece - payload_sent};
  }
  const ssize_t n = write_vector(fd, iov, count);
  if (n < 0) return Write::kBroken;
  written = static_cast<std::size_t>(n);
  front.piece_sent += written;
  if (front.piece_sent < front.socket_bytes()) return Write::kBlocked;
  front.piece_sent = 0;
  front.offset += front.piece;
  const bool offered = front.offered, last = front.offset == out.size();
  if (offered) written += front.piece;
  const TransferPtr done = last ? std::move(front.send) : nullptr;
  if (last) large_.pop_front();
  if (offered) {
    offered_.push_back(done);
  } else if (done) {
    done->finish(done->out.size());
  }
  return idle() ? Write::kIdle : Write::kMore;
}

void Outbox::cut(Epoch below, const Error& why) {
  std::deque<Large> kept;
  for (Large& large : large_) {
    if (large.send->epoch >= below) {
      kept.push_back(std::move(large));
      continue;
    }
    if (large.piece_sent > 0) {
      std::vector<std::byte> piece(large.header.begin(),
                                   large.header.begin() + static_cast<std::ptrdiff_t>(large.header_bytes()));
      const auto* begin = large.send->out.data() + large.offset;
      if (!large.offered) piece.insert(piece.end(), begin, begin + large.piece);
      if (large.offered) offered_.push_back(nullptr);  // it will be answered
      small_.push_front({std::move(piece), large.piece_sent, true});
    }
    large.send->fail(why);
  }
  large_ = std::move(kept);
  for (TransferPtr& send : offered_) {
    if (send && send->epoch < below) std::exchange(send, nullptr)->fail(why);
  }
}

}  // namespace regroup::mesh
