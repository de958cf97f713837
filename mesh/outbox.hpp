// outbox.hpp: what one connection still has to write. The caller holds the connection's lock.
//
// Small messages and heartbeats must not wait behind megabytes of weights: they are copied, and go out between two
// pieces of a large message. Large messages are not copied: their pieces are written from the caller's buffer, in
// order.
//
// cut() ends the large messages of old epochs, whose buffers their callers want back: of the piece that is half written
// the rest is copied first, since the peer has been promised that many bytes; later pieces are never sent.
//
// To a peer that can read our memory, pieces are not written but offered (wire.hpp), a few at a time; such a message is
// done when the peer has answered its last offer.
#pragma once

#include "mesh/transfer.hpp"
#include "mesh/wire.hpp"

#include <array>
#include <deque>
#include <optional>

namespace regroup::mesh {

class Outbox {
 public:
  enum class Write { kIdle, kMore, kBlocked, kBroken };

  [[nodiscard]] bool idle() const;  // nothing that could be written now
  void push_small(std::vector<std::byte> frame_and_payload, std::size_t already_written = 0);
  void push_large(TransferPtr send);
  void set_beat(const Frame& beat) { beat_ = beat; }  // replaces one that has not gone out yet

  // At most one system call and one piece.
  Write write_some(int fd, std::size_t piece_bytes, std::size_t& written);
  void offer_from_now_on() { offers_ = true; }
  bool taken();  // the oldest offer; false: there is none
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
    std::size_t piece_sent = 0;  // of what goes through the socket, header included
    bool offered = false;        // the piece under way
    std::array<std::byte, kFrameBytes + kOfferBytes> header;

    [[nodiscard]] std::size_t header_bytes() const { return offered ? kFrameBytes + kOfferBytes : kFrameBytes; }
    [[nodiscard]] std::size_t socket_bytes() const { return offered ? header_bytes() : kFrameBytes + piece; }
  };
  void begin_piece(Large& large, std::size_t piece_bytes) const;
  [[nodiscard]] bool may_begin_piece() const;
  void take_beat();
  Write write_small(int fd, std::size_t& written);
  Write write_piece(int fd, std::size_t piece_bytes, std::size_t& written);
  [[nodiscard]] bool in_piece() const { return !large_.empty() && large_.front().piece_sent > 0; }

  // Need no bound: they hold what this worker sends in one step to one peer, which votes only when it has all of it,
  // and a peer that reads no more is given up (silence), with all that waits for it.
  std::deque<Small> small_;
  std::deque<Large> large_;
  // not taken yet, oldest first, kMostOffers at most; set where the offer was its message's last
  std::deque<TransferPtr> offered_;
  std::optional<Frame> beat_;
  bool offers_ = false;
};

}  // namespace regroup::mesh
