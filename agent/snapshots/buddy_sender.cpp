#include "agent/snapshots/buddy_sender.hpp"

#include "agent/snapshots/peer_requests.hpp"

#include <sys/socket.h>

namespace regroup::agent {

BuddySender::BuddySender(std::string address, std::chrono::milliseconds idle)
    : address_(std::move(address)), idle_(idle), thread_([this] { work(); }) {}

BuddySender::~BuddySender() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (socket_) ::shutdown(socket_->fd(), SHUT_RDWR);
  }
  changed_.notify_all();
  thread_.join();
}

void BuddySender::send(Sending sending) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(sending));
  }
  changed_.notify_all();
}

bool BuddySender::idle() const {
  const std::lock_guard lock(mutex_);
  return queue_.empty() && !busy_;
}

void BuddySender::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Sending sending = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    const bool stopping = stopping_;
    lock.unlock();
    if (stopping) {
      sending.done(Error{Code::kUnavailable, "this agent stops"});
    } else if (!sending.shelf->holds(sending.snapshot)) {
      sending.done(Error{Code::kConflict, "it was ended before it could be sent"});
    } else {
      sending.done(put(sending));
    }
    sending = {};
    lock.lock();
    busy_ = false;
  }
}

Result<void> BuddySender::put(const Sending& sending) {
  if (connected_for_ != sending.shelf) hang_up();
  const bool kept = socket_.has_value();
  if (!kept) {
    auto connected = connect(sending.shelf);
    if (!connected) return connected;
  }
  auto sent = put_snapshot(*socket_, *sending.snapshot, sending.safe, "the buddy at " + address_);
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
  const std::lock_guard lock(mutex_);
  if (stopping_) return Error{Code::kUnavailable, "this agent stops"};
  socket_ = std::move(*socket);
  connected_for_ = shelf;
  return {};
}

void BuddySender::hang_up() {
  const std::lock_guard lock(mutex_);
  socket_.reset();
  connected_for_.reset();
}

}  // namespace regroup::agent
