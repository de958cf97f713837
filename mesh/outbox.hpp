// outbox.hpp: what one connection still has to write. The caller holds the connection's lock.
//
// Small messages are private copies and go first; large ones go straight from the caller's buffer in pieces, in order. Between two pieces small messages and beats
// get their turn. cut() ends the large ones of old epochs: the piece under way is finished from a private copy, the rest is never sent.
#pragma once

#include "mesh/transfer.hpp"
#include "mesh/wire.hpp"

#include <array>
#include <deque>
#include <optional>

namespace regroup {

class Outbox {
 public:
  enum class Write { kIdle, kMore, kBlocked, kBroken };

  [[nodiscard]] bool empty() const { return small_.empty() && large_.empty() && !beat_; }
  void push_small(std::vector<std::byte> frame_and_payload, std::size_t already_written = 0);
  void push_large(TransferPtr send);
  void set_beat(const Frame& beat) { beat_ = beat; }  // replaces one that has not gone out yet

  // At most one system call and one piece.
  Write write_some(int fd, std::size_t piece_bytes, std::size_t& written);
  // Large messages of epochs below `below` end with `why`.
  void cut(Epoch below, const Error& why);

 private:
  struct Small {
    std::vector<std::byte> bytes;
    std::size_t sent = 0;
    bool first = false;  // the rest of a piece: nothing may go before it
  };
  struct Large {
    TransferPtr send;
    std::size_t offset = 0;      // of the piece under way
    std::size_t piece = 0;       // its length
    std::size_t piece_sent = 0;  // header included
    std::array<std::byte, kFrameBytes> header;
  };
  void take_beat();
  Write write_small(int fd, std::size_t& written);
  Write write_piece(int fd, std::size_t piece_bytes, std::size_t& written);
  [[nodiscard]] bool in_piece() const { return !large_.empty() && large_.front().piece_sent > 0; }

  std::deque<Small> small_;
  std::deque<Large> large_;
  std::optional<Frame> beat_;
};

}  // namespace regroup
