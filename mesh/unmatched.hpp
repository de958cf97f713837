// unmatched.hpp: the room for messages that come before their receive() is posted, and how a reader that finds none is
// sure to be woken.
//
// Two threads meet here. The I/O thread reads: without room it leaves the connection unread and goes on to others. The
// main thread posts receives, which makes room, or lets the bytes go where they belong. If it posts just while the
// reader finds no room, nobody may be left waiting. So each speaks first and looks then: the reader says that it lacks
// room and looks once more; the poster posts and then looks whether somebody lacks room. Whichever comes first, one of
// them sees the other.
//
// A receive for the very message that finds no room is no matter of bytes: it is looked for under the lock of its
// Arrivals, which is held over all of keep().
#pragma once

#include <atomic>
#include <cstddef>

namespace regroup::mesh {

// The atomic is a parameter so that tests can step between its operations.
template <template <class> class Atomic>
class UnmatchedRoom {
 public:
  explicit UnmatchedRoom(std::size_t most) : most_(most) {}

  // I/O thread. False: there is no room, and whoever posts from now on finds lacks_room().
  bool keep(std::size_t bytes) {
    if (!fits(bytes)) {
      lacks_room_ = true;
      if (!fits(bytes)) return false;
    }
    bytes_ += bytes;
    return true;
  }
  // I/O thread, though there be no room.
  void keep_anyhow(std::size_t bytes) { bytes_ += bytes; }
  // I/O thread, before it looks again at every connection that it left unread.
  void look_again() { lacks_room_ = false; }

  // Any thread.
  void release(std::size_t bytes) { bytes_ -= bytes; }
  // After a receive was posted: true when the I/O thread must look again.
  [[nodiscard]] bool lacks_room() const { return lacks_room_; }

 private:
  [[nodiscard]] bool fits(std::size_t bytes) const { return bytes_ + bytes <= most_; }

  const std::size_t most_;
  Atomic<std::size_t> bytes_{0};
  Atomic<bool> lacks_room_{false};
};

using Unmatched = UnmatchedRoom<std::atomic>;

}  // namespace regroup::mesh
