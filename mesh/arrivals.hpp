// arrivals.hpp: what has come from one peer, and who waits for it.
//
// A message and its receive() meet by (epoch, tag), whichever comes first. If the receive is there first, the bytes go
// straight into the caller's buffer; otherwise they are kept until it is posted, or until their epoch is over. No
// buffer is touched before they have met. When no room is left for what is kept (unmatched.hpp), begin_piece says
// kPause, and the connection is not read until a receive is posted. The control lane is never paused: beats, and
// answers without which a send does not end, would stand behind what nobody takes.
//
// Threads: the main thread posts receives; the I/O thread places pieces and ends messages. The lock is never held over
// a system call or a long copy. The caller's buffer is written by the I/O thread only, between begin_piece and
// end_piece; since that thread is also the one that ends messages, none can end in the middle of a piece.
#pragma once

#include "base/mutex.hpp"
#include "mesh/transfer.hpp"
#include "mesh/unmatched.hpp"
#include "mesh/wire.hpp"

#include <map>
#include <unordered_map>

namespace regroup::mesh {

// One message that is coming or is waited for.
struct Incoming {
  std::size_t total = 0, received = 0;
  std::size_t kept = 0;              // counted as unmatched
  bool started = false;              // a piece has come
  std::atomic<bool> discard{false};  // the rest is read and thrown away
  TransferPtr posted;                // who waits for it
  bool in_place = false;             // goes straight into posted->into
  std::vector<std::byte> stash;
};

class Arrivals {
 public:
  enum class Place { kTake, kDrop, kPause };
  struct Piece {
    Place place = Place::kDrop;
    std::shared_ptr<Incoming> message;
    std::byte* target = nullptr;
  };

  explicit Arrivals(Unmatched& unmatched) : unmatched_(unmatched) {}
  ~Arrivals();

  // Main thread. May finish or fail it at once.
  void post(const TransferPtr& receive);

  // I/O thread.
  Piece begin_piece(const Frame& frame, Lane lane);
  void end_piece(const Frame& frame, const std::shared_ptr<Incoming>& message);
  // Epochs below are over: their receives end with `why`, their frames are dropped from now on.
  void close_below(Epoch epoch, const Error& why);
  // Epoch `epoch` begins; the peer takes part in it or not.
  void open(Epoch epoch, bool takes_part);
  // The connection is gone, or the peer silent: receives up to `entered` end, but whole messages that came stay.
  void lose(Epoch entered, const Error& why);
  // True when a send of that epoch makes no sense any more; `why` says it.
  bool over(Epoch epoch, Error& why) const;
  // Messages of that epoch may have been lost with a connection.
  [[nodiscard]] bool broken(Epoch epoch) const;

 private:
  using Messages = std::unordered_map<std::uint64_t, std::shared_ptr<Incoming>>;
  void release(Incoming& message);
  void end(Incoming& message, const Error& why);
  [[nodiscard]] bool over_locked(std::uint64_t epoch, Error& why) const REGROUP_REQUIRES(mutex_);
  void start(Incoming& message, const Frame& frame);

  Unmatched& unmatched_;
  mutable Mutex mutex_;
  std::map<std::uint64_t, Messages> epochs_ REGROUP_GUARDED_BY(mutex_);
  std::uint64_t floor_ REGROUP_GUARDED_BY(mutex_) = 0;    // lower epochs are over
  std::uint64_t entered_ REGROUP_GUARDED_BY(mutex_) = 0;  // the epoch that takes_part_ speaks of
  bool takes_part_ REGROUP_GUARDED_BY(mutex_) = false;
  std::uint64_t broken_ REGROUP_GUARDED_BY(mutex_) = 0;   // up to this epoch messages may have been lost
  std::uint64_t highest_ REGROUP_GUARDED_BY(mutex_) = 0;  // that a frame had
  Error closed_why_ REGROUP_GUARDED_BY(mutex_), broken_why_ REGROUP_GUARDED_BY(mutex_);
};

}  // namespace regroup::mesh
