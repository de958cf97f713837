// connection.hpp: one live socket to a peer: frames in, frames out.
//
// The I/O thread reads, and writes what is queued. The main thread may write a small message itself when nothing is
// queued, which saves a vote the trip through the other thread. If something is queued, then either the I/O thread has
// this connection on its list or it waits for the socket to become writable, so that nothing is forgotten.
#pragma once

#include "base/mutex.hpp"
#include "mesh/arrivals.hpp"
#include "mesh/outbox.hpp"

#include <sys/types.h>

#include <array>
#include <optional>

namespace regroup::mesh {

struct Link;

struct EpollTarget {
  enum class Kind { kWake, kListener, kHandshake, kConnection };
  explicit EpollTarget(Kind k) : kind(k) {}
  const Kind kind;
};

struct MeshCounters {
  std::atomic<std::uint64_t> bytes_received{0}, bytes_fetched{0}, refused{0}, stale_dropped{0};
};

// Where bytes go that have no place of their own; one for an I/O thread.
struct ReadScratch {
  std::vector<std::byte> small = std::vector<std::byte>(64 * 1024);
  std::vector<std::byte> waste = std::vector<std::byte>(256 * 1024);
};

class Connection : public EpollTarget {
 public:
  enum class Read { kDrained, kMore, kPaused, kEof, kBadFrame };

  Connection(int epoll_fd, int fd, Lane lane, std::shared_ptr<Link> link, const Options& options,
             MeshCounters& counters);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Any thread: false when the lock is taken (hand it to the I/O thread instead).
  bool try_send_small(std::span<const std::byte> frame, std::span<const std::byte> payload);
  void send_frame(const Frame& frame);

  // I/O thread.
  void start();  // bytes begin to be reported by epoll; asks the peer whether it can read our memory
  Read read_some(ReadScratch& scratch, std::size_t& bytes);
  Read take_first(std::string_view bytes);  // what came right behind the handshake
  Outbox::Write write_some(std::size_t piece_bytes);
  void queue_small(std::vector<std::byte> frame_and_payload);
  void queue_large(TransferPtr send);
  void queue_beat(const Frame& beat);
  void cut(Epoch below, const Error& why);
  void on_writable();
  void close(const Error& why);
  std::optional<Frame> take_beat() { return std::exchange(beat_, std::nullopt); }
  int take_answers() { return std::exchange(answers_, 0); }
  bool taken(int offers);  // of the other side's; false: there were not so many

  const Lane lane;
  const std::shared_ptr<Link> link;
  const std::uint64_t instance;                                            // tells connections of one pair apart
  bool readable = false, hung_up = false, listed = false, paused = false;  // I/O thread

 private:
  Read feed(std::span<const std::byte> bytes);
  Read take_frame();
  Read open_piece();
  Read fetch(const Offer& offer);
  void reach(const Frame& asked);
  void send_small(std::span<const std::byte> frame, std::span<const std::byte> payload) REGROUP_REQUIRES(mutex_);
  void advance(std::size_t bytes);
  void finish_piece();
  void watch_writable(bool on) REGROUP_REQUIRES(mutex_);

  const int epoll_fd_;
  const std::size_t max_message_bytes_;
  const bool reads_memory_;
  const std::uint64_t reach_word_;  // they find it if they can read ours
  MeshCounters& counters_;

  Mutex mutex_;
  int fd_ REGROUP_GUARDED_BY(mutex_);  // -1 once closed
  Outbox outbox_ REGROUP_GUARDED_BY(mutex_);
  bool blocked_ REGROUP_GUARDED_BY(mutex_) = false, watching_ REGROUP_GUARDED_BY(mutex_) = false;

  // Reading: I/O thread only.
  pid_t peer_pid_ = 0;  // once its memory was reached
  int read_fd_;
  std::array<std::byte, kFrameBytes + kOfferBytes> head_;
  std::size_t head_have_ = 0, piece_left_ = 0;
  Frame frame_;
  std::byte* target_ = nullptr;
  std::shared_ptr<Incoming> message_;
  std::vector<std::byte> backlog_;  // read but not taken, while paused
  std::optional<Frame> beat_;
  int answers_ = 0;  // taken frames that came
};

}  // namespace regroup::mesh
