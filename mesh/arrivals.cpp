#include "mesh/arrivals.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace regroup::mesh {
namespace {

// A message of which no more than this has come when its receive is posted is copied and then goes in place.
constexpr std::size_t kMoveOverBytes = 1 << 20;

Error too_long(std::size_t total, std::size_t capacity) {
  return {Code::kBadInput,
          "a message of " + std::to_string(total) + " bytes came for a buffer of " + std::to_string(capacity)};
}

}  // namespace

Arrivals::~Arrivals() {
  for (auto& [epoch, messages] : epochs_) {
    for (auto& [tag, message] : messages) end(*message, {Code::kPeerLost, "the mesh was closed"});
  }
}

void Arrivals::release(Incoming& message) {
  unmatched_.release(message.kept);
  message.kept = 0;
}

void Arrivals::end(Incoming& message, const Error& why) {
  release(message);
  message.discard = true;
  message.in_place = false;
  if (message.posted) std::exchange(message.posted, nullptr)->fail(why);
}

bool Arrivals::over_locked(std::uint64_t epoch, Error& why) const {
  if (epoch < floor_) return why = closed_why_, true;
  if (epoch <= broken_) return why = broken_why_, true;
  return false;
}

bool Arrivals::over(Epoch epoch, Error& why) const {
  const LockGuard lock(mutex_);
  return over_locked(epoch.value, why);
}

bool Arrivals::broken(Epoch epoch) const {
  const LockGuard lock(mutex_);
  return epoch.value <= broken_;
}

void Arrivals::post(const TransferPtr& receive) {
  const LockGuard lock(mutex_);
  if (receive->epoch.value < floor_) return receive->fail(closed_why_);
  Error why;
  Messages& messages = epochs_[receive->epoch.value];
  auto found = messages.find(receive->tag.value);
  const bool whole =
      found != messages.end() && found->second->started && found->second->received == found->second->total;
  if (!whole && over_locked(receive->epoch.value, why)) return receive->fail(why);
  if (found == messages.end()) {
    auto message = std::make_shared<Incoming>();
    message->posted = receive;
    messages.emplace(receive->tag.value, std::move(message));
    return;
  }
  Incoming& message = *found->second;
  if (message.posted || message.discard)
    return receive->fail(
        {Code::kBadInput, "tag " + std::to_string(receive->tag.value) + " was used twice in one epoch"});
  release(message);
  if (receive->kind == Transfer::Kind::kReceive && message.total > receive->into.size()) {
    receive->fail(too_long(message.total, receive->into.size()));
    message.discard = true;
    if (whole) messages.erase(found);
    return;
  }
  if (!whole) {
    message.posted = receive;
    return;
  }
  receive->message = std::move(message.stash);
  const std::size_t total = message.total;
  messages.erase(found);
  receive->finish(total);
}

void Arrivals::start(Incoming& message, const Frame& frame) {
  message.started = true;
  message.total = frame.total;
  if (message.posted && message.posted->kind == Transfer::Kind::kReceive) {
    if (message.total > message.posted->into.size())
      return end(message, too_long(message.total, message.posted->into.size()));
    message.in_place = true;
  } else {
    message.stash.reserve(message.total);
  }
}

Arrivals::Piece Arrivals::begin_piece(const Frame& frame, Lane lane) {
  const LockGuard lock(mutex_);
  Error why;
  if (over_locked(frame.epoch, why) || (frame.epoch == entered_ && !takes_part_)) return {};
  highest_ = std::max(highest_, frame.epoch);
  Messages& messages = epochs_[frame.epoch];
  auto found = messages.find(frame.tag);
  if (found == messages.end()) {
    if (frame.offset != 0) return {};  // its beginning was dropped
    if (lane == Lane::kControl) {
      unmatched_.keep_anyhow(frame.total);
    } else if (!unmatched_.keep(frame.total)) {
      return {Place::kPause, nullptr, nullptr};
    }
    auto fresh = std::make_shared<Incoming>();
    fresh->kept = frame.total;
    found = messages.emplace(frame.tag, std::move(fresh)).first;
  }
  const std::shared_ptr<Incoming> message = found->second;
  if (!message->started) {
    if (frame.offset != 0) return {};
    start(*message, frame);
  }
  if (message->discard) return {Place::kTake, message, nullptr};
  if (frame.total != message->total || frame.offset != message->received || (frame.length == 0 && frame.total != 0)) {
    end(*message, {Code::kCorrupt, "pieces of one message do not fit together"});
    return {Place::kTake, message, nullptr};
  }
  const auto& posted = message->posted;
  if (posted && !message->in_place && posted->kind == Transfer::Kind::kReceive && message->received <= kMoveOverBytes) {
    std::memcpy(posted->into.data(), message->stash.data(), message->received);
    std::vector<std::byte>().swap(message->stash);
    message->in_place = true;
  }
  // reserved: it does not move, and pages are touched as they fill
  if (!message->in_place) message->stash.resize(frame.offset + frame.length);
  std::byte* base = message->in_place ? posted->into.data() : message->stash.data();
  return {Place::kTake, message, base + frame.offset};
}

void Arrivals::end_piece(const Frame& frame, const std::shared_ptr<Incoming>& message) {
  const LockGuard lock(mutex_);
  message->received = frame.offset + frame.length;
  if (message->received < message->total) return;
  const auto messages = epochs_.find(frame.epoch);
  if (messages == epochs_.end()) return;
  const auto found = messages->second.find(frame.tag);
  if (found == messages->second.end() || found->second != message) return;
  if (!message->posted && !message->discard) return;  // kept until its receive comes
  messages->second.erase(found);
  if (!message->posted) return;
  message->posted->in_place = message->in_place;
  if (!message->in_place) message->posted->message = std::move(message->stash);
  std::exchange(message->posted, nullptr)->finish(message->total);
}

void Arrivals::close_below(Epoch epoch, const Error& why) {
  const LockGuard lock(mutex_);
  floor_ = std::max(floor_, epoch.value);
  closed_why_ = why;
  while (!epochs_.empty() && epochs_.begin()->first < floor_) {
    for (auto& [tag, message] : epochs_.begin()->second) end(*message, why);
    epochs_.erase(epochs_.begin());
  }
}

void Arrivals::open(Epoch epoch, bool takes_part) {
  const LockGuard lock(mutex_);
  entered_ = epoch.value;
  takes_part_ = takes_part;
  const auto found = epochs_.find(epoch.value);
  if (found == epochs_.end()) return;
  for (auto it = found->second.begin(); it != found->second.end();) {
    Incoming& message = *it->second;
    if (!takes_part || message.posted) {
      end(message, {Code::kNewerEpoch, "the epoch was entered anew"});
      const bool rest_comes = message.started && message.received < message.total;
      it = rest_comes ? std::next(it) : found->second.erase(it);
    } else {
      ++it;
    }
  }
}

void Arrivals::lose(Epoch entered, const Error& why) {
  const LockGuard lock(mutex_);
  broken_ = std::max({broken_, entered.value, highest_});
  broken_why_ = why;
  for (auto& [epoch, messages] : epochs_) {
    for (auto it = messages.begin(); it != messages.end();) {
      Incoming& message = *it->second;
      if (message.started && !message.discard && message.received == message.total) {
        ++it;
        continue;
      }
      end(message, why);
      it = messages.erase(it);
    }
  }
}

}  // namespace regroup::mesh
