#include "mesh/outbox.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace regroup {
namespace {

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
  if (!large_.empty()) return write_piece(fd, piece_bytes, written);
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
  return empty() ? Write::kIdle : Write::kMore;
}

Outbox::Write Outbox::write_piece(int fd, std::size_t piece_bytes, std::size_t& written) {
  Large& front = large_.front();
  const auto& out = front.send->out;
  if (front.piece_sent == 0) {
    front.piece = std::min(piece_bytes, out.size() - front.offset);
    encode_frame({FrameType::kData, front.send->epoch.value, front.send->tag.value, out.size(), front.offset, static_cast<std::uint32_t>(front.piece)},
                 front.header.data());
  }
  iovec iov[2];
  std::size_t count = 0;
  if (front.piece_sent < kFrameBytes) iov[count++] = {front.header.data() + front.piece_sent, kFrameBytes - front.piece_sent};
  const std::size_t payload_sent = front.piece_sent > kFrameBytes ? front.piece_sent - kFrameBytes : 0;
  if (front.piece > payload_sent) iov[count++] = {const_cast<std::byte*>(out.data()) + front.offset + payload_sent, front.piece - payload_sent};
  const ssize_t n = write_vector(fd, iov, count);
  if (n < 0) return Write::kBroken;
  written = static_cast<std::size_t>(n);
  front.piece_sent += written;
  if (front.piece_sent < kFrameBytes + front.piece) return Write::kBlocked;
  front.piece_sent = 0;
  front.offset += front.piece;
  if (front.offset == out.size()) {
    const TransferPtr done = std::move(front.send);
    large_.pop_front();
    done->finish(done->out.size());
  }
  return empty() ? Write::kIdle : Write::kMore;
}

void Outbox::cut(Epoch below, const Error& why) {
  std::deque<Large> kept;
  for (Large& large : large_) {
    if (large.send->epoch >= below) {
      kept.push_back(std::move(large));
      continue;
    }
    if (large.piece_sent > 0) {
      std::vector<std::byte> piece(large.header.begin(), large.header.end());
      const auto* begin = large.send->out.data() + large.offset;
      piece.insert(piece.end(), begin, begin + large.piece);
      small_.push_front({std::move(piece), large.piece_sent, true});
    }
    large.send->fail(why);
  }
  large_ = std::move(kept);
}

}  // namespace regroup
