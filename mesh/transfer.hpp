// transfer.hpp: one send or receive under way, shared by the main thread that waits for it and the I/O thread that
// finishes it.
//
// `state` is what hands it over: the thread that finishes the transfer writes everything else first, then moves `state`
// away from kPending; the thread that waits reads everything else only afterwards. `seal` is an exception, because
// other processes read it from our memory: while it stands there, they may use what they copied from `out`.
#pragma once

#include "mesh/mesh.hpp"

#include <atomic>

namespace regroup::mesh {

class Transfer {
 public:
  enum class Kind { kSend, kReceive, kReceiveMessage };
  enum State : int { kPending = 0, kDone = 1, kFailed = 2 };

  Transfer(Kind k, Epoch e, Tag t) : kind(k), epoch(e), tag(t) {}

  void finish(std::size_t bytes) {
    moved = bytes;
    settle(kDone);
  }
  void fail(Error why) {
    error = std::move(why);
    settle(kFailed);
  }
  [[nodiscard]] bool pending() const { return state.load(std::memory_order_acquire) == kPending; }

  const Kind kind;
  const Epoch epoch;
  const Tag tag;
  std::span<const std::byte> out;  // kSend
  std::span<std::byte> into;       // kReceive
  std::vector<std::byte> message;  // kReceiveMessage; kReceive when the message came before it: wait() copies
  bool in_place = false;           // kReceive: the bytes are in `into` already
  std::size_t moved = 0;
  Error error;
  std::atomic<int> state{kPending};
  std::atomic<std::uint64_t> seal{0};  // kSend, once it was offered

 private:
  void settle(State s) {
    seal.store(0, std::memory_order_seq_cst);  // before the owner of the buffer may know
    state.store(s, std::memory_order_release);
    state.notify_all();
  }
};

}  // namespace regroup::mesh
