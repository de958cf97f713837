#include "agent/snapshots/buddy_sender.hpp"

#include "agent/snapshots/peer_requests.hpp"

#include <sys/socket.h>

namespace regroup::agent {

BuddySender::BuddySender(std::string address, std::chrono::milliseconds idle)
    : address_(std::move(address)), idle_(idle) {}

BuddySender::~BuddySender() {
  stopping_ = true;
  socket_.look([](const auto& socket) {
    if (socket) ::shutdown(socket->fd(), SHUT_RDWR);
  });
}

void BuddySender::send(Sending sending) {
  queue_.post([this, sending = std::move(sending)] { sending.done(try_to_send(sending)); });
}

Result<void> BuddySender::try_to_send(const Sending& sending) {
  if (stopping_) return Error{Code::kUnavailable, "this agent stops"};
  if (!sending.shelf->holds(sending.snapshot)) return Error{Code::kConflict, "it was ended before it could be sent"};
  return put(sending);
}

Result<void> BuddySender::put(const Sending& sending) {
  if (connected_for_ != sending.shelf) hang_up();
  const bool kept = socket_.mine() != nullptr;
  if (!kept) {
    auto connected = connect(sending.shelf);
    if (!connected) return connected;
  }
  auto sent = put_snapshot(*socket_.mine(), *sending.snapshot, sending.safe, "the buddy at " + address_);
  if (sent) return sent;
  hang_up();
  if (!kept || sent.error().code != Code::kPeerLost) return sent;
  return put(sending);
}

Result<void> BuddySender::connect(const std::shared_ptr<Shelf>& shelf) {
  auto socket = PeerSocket::dial(address_, idle_);
  if (!socket) return socket.error();
  auto proved = prove_to_server(*socket, shelf->job().name, shelf->job().secret);
  if (!proved) return proved.error().within("the buddy at " + address_);
  connected_for_ = shelf;
  socket_.change([&](auto& own) { own = std::make_unique<PeerSocket>(std::move(*socket)); });
  // The destructor says so first and then shuts down what it finds: one of us sees the other.
  if (stopping_) return Error{Code::kUnavailable, "this agent stops"};
  return {};
}

void BuddySender::hang_up() {
  socket_.change([](auto& own) { own.reset(); });
  connected_for_.reset();
}

}  // namespace regroup::agent
