// connection_fetch.cpp: a piece begins: what comes through the socket gets its place, what is offered is copied from
// the sender's memory. Part of Connection (connection.hpp).
#include "mesh/link.hpp"
#include "mesh/peer_memory.hpp"

namespace regroup::mesh {
namespace {

bool holds_word(pid_t pid, std::uint64_t address, std::uint64_t word) {
  std::uint64_t found = 0;
  return read_peer_memory(pid, address, std::as_writable_bytes(std::span(&found, 1))) == 0 && found == word;
}

}  // namespace

Connection::Read Connection::open_piece() {
  const bool offered = frame_.type == FrameType::kOffer;
  if (offered && peer_pid_ <= 0) return Read::kBadFrame;
  const Offer offer = offered ? decode_offer(head_.data() + kFrameBytes) : Offer{};
  // The sender of this message took it back. Pieces before this one may have been dropped for the same reason, so this
  // one must not be counted either: it would look like a gap.
  const bool withdrawn = offered && !holds_word(peer_pid_, offer.seal_address, offer.seal);
  Arrivals::Piece piece = withdrawn ? Arrivals::Piece{} : link->arrivals.begin_piece(frame_, lane);
  if (piece.place == Arrivals::Place::kPause) return Read::kPaused;
  head_have_ = 0;
  if (piece.place == Arrivals::Place::kDrop) ++counters_.stale_dropped;
  message_ = std::move(piece.message);
  target_ = piece.target;
  if (offered) return fetch(offer);
  piece_left_ = frame_.length;
  if (piece_left_ == 0) finish_piece();
  return Read::kMore;
}

Connection::Read Connection::fetch(const Offer& offer) {
  if (message_ && target_) {
    const int failed = read_peer_memory(peer_pid_, offer.address, {target_, frame_.length});
    std::atomic_thread_fence(std::memory_order_acquire);
    if (!holds_word(peer_pid_, offer.seal_address, offer.seal)) {
      message_.reset();  // taken back meanwhile: its sender is in a newer epoch, or has lost us
    } else if (failed != 0) {
      return Read::kBadFrame;
    } else {
      counters_.bytes_received += frame_.length;
      counters_.bytes_fetched += frame_.length;
    }
  }
  finish_piece();
  const auto& control = link->at(Lane::kControl);
  if (!control) return Read::kBadFrame;
  control->send_frame({FrameType::kTaken});
  return Read::kMore;
}

void Connection::reach(const Frame& asked) {
  const auto pid = static_cast<pid_t>(asked.epoch);
  // on another machine that pid is anybody's, and the word is not there
  if (!reads_memory_ || pid <= 0 || !holds_word(pid, asked.tag, asked.total)) return;
  peer_pid_ = pid;
  send_frame({FrameType::kReachable});
}

}  // namespace regroup::mesh
