// mesh.hpp: how workers talk: persistent authenticated connections, tagged transfers, and waits that end.
//
// A process opens one Mesh. Connections are made by warm() or enter() and outlive epochs; enter() gives ranks to peers
// for one epoch. Every operation belongs to the epoch entered last. announce(newer) wakes every waiter with kNewerEpoch
// and makes further operations of the old epoch return it at once; connections stay as they are. Frames of an older
// epoch are dropped; frames of a newer one than ours are kept until enter().
//
// Threads: one I/O thread inside. send, receive, wait, enter and the collectives: the main thread only. announce, warm,
// state: any thread. Events: on the I/O thread. Memory: a buffer given to send or receive stays valid until wait() of
// that operation returned (with any result) or enter() returned. After an abort the transport
//   touches no buffer of the caller any more, from the moment that wait() or enter() returned; a peer of this machine
//   may still read what was being sent, in vain.
// Deadlines: derived from the heartbeat h. A peer is lost by end of file and a refused redial, or by 5 h without any
// frame. A peer that beats never expires. Errors: kNewerEpoch, kPeerLost (the peer's id is in the text), kTimeout
// (enter only).
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace regroup::mesh {

struct Peer {
  WorkerId id;
  std::string address;  // "unix:PATH" or "tcp:HOST:PORT"
};

struct Options {
  WorkerId self;
  std::string listen;  // "unix:PATH" or "tcp:HOST:0"
  std::string secret;  // of the job; both sides prove it (HMAC over fresh nonces)
  std::chrono::milliseconds heartbeat{200};
  std::size_t piece_bytes = 256 * 1024;  // bulk goes in pieces of at most this
  // bulk from a process of this machine is copied from its memory, where the kernel lets it; else it goes through the
  // socket
  bool read_peer_memory = true;
  std::size_t max_message_bytes = 1ull << 31;
  // of messages that came before their receive; past it their connection is not read
  std::size_t max_unmatched_bytes = 1ull << 30;
};

struct Events {
  // Level-triggered per connection loss. evidence: "eof" | "silence" | "hang" (beats, is not waiting, and its progress
  // counter stands still).
  std::function<void(const WorkerId& whom, const std::string& evidence)> on_lost;
  std::function<void(const WorkerId& whom)> on_connected;
};

// Names one transfer between two ranks within an epoch. Both sides derive it from what they do; never reused between
// the same two ranks in one epoch.
struct Tag {
  std::uint64_t value = 0;
  friend auto operator<=>(const Tag&, const Tag&) = default;
};

enum class Lane { kControl, kBulk };

class Transfer;  // opaque; one send or receive under way
using TransferPtr = std::shared_ptr<Transfer>;

class Mesh {
 public:
  static Result<std::unique_ptr<Mesh>> open(const Options& options, Events events);
  virtual ~Mesh() = default;

  [[nodiscard]] virtual std::string address() const = 0;  // what others dial

  // Dials in the background, again and again, until connected or replaced by the next warm() or enter().
  virtual void warm(const std::vector<Peer>& peers) = 0;
  [[nodiscard]] virtual bool connected(const WorkerId& peer) const = 0;

  // Any thread; lower or equal epochs are ignored.
  virtual void announce(Epoch newer) = 0;

  // Index in `participants` = rank in `epoch`; one of them is self. Returns when every other one is connected;
  // kPeerLost when one refuses or was lost, kNewerEpoch when announce() passed `epoch`, kTimeout. Peers that are not
  // connected are dialled (both may dial; the connection dialled by the greater id survives).
  virtual Result<void> enter(Epoch epoch, const std::vector<Peer>& participants, std::chrono::milliseconds timeout) = 0;
  [[nodiscard]] virtual Epoch epoch() const = 0;
  [[nodiscard]] virtual Rank self() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  // The main thread's progress counter, carried by heartbeats together with "is waiting in the mesh".
  virtual void set_progress(std::uint64_t counter) = 0;
  virtual void set_hang_limit(std::chrono::milliseconds limit) = 0;

  // Both return at once; errors come from wait().
  virtual TransferPtr send(Rank to, Tag tag, std::span<const std::byte> bytes, Lane lane = Lane::kBulk) = 0;
  virtual TransferPtr receive(Rank from, Tag tag,
                              std::span<std::byte> into) = 0;  // the message may be shorter, never longer
  // A message of any size; take it with wait_message.
  virtual TransferPtr receive_message(Rank from, Tag tag) = 0;

  // wait() would return at once, with whatever result.
  [[nodiscard]] virtual bool ready(const TransferPtr& transfer) const = 0;
  virtual Result<std::size_t> wait(const TransferPtr& transfer) = 0;  // bytes moved
  virtual Result<std::vector<std::byte>> wait_message(const TransferPtr& transfer) = 0;

  struct Counters {
    std::uint64_t bytes_sent = 0, bytes_received = 0, bytes_fetched = 0, messages_sent = 0, messages_received = 0,
                  refused = 0, stale_dropped = 0;
  };
  // fetched: those of the received that were copied from the peer's memory
  [[nodiscard]] virtual Counters counters() const = 0;
};

// Collectives as direct exchanges among `ranks` (ascending, containing self); every rank calls with the same tag. What
// goes to self is copied.
Result<void> barrier(Mesh& mesh, const std::vector<Rank>& ranks, Tag tag);
// [i] = what ranks[i] gave. Also after an error `mine` is the caller's again; it returns once the sends to those who
// are left have ended.
Result<std::vector<std::vector<std::byte>>> all_gather_v(Mesh& mesh, const std::vector<Rank>& ranks, Tag tag,
                                                         std::span<const std::byte> mine, Lane lane = Lane::kControl);
// out[i] goes to ranks[i]; in[i] is filled by ranks[i]; sizes are known on both sides. After an error both stay valid
// until enter() returned.
Result<void> all_to_all_v(Mesh& mesh, const std::vector<Rank>& ranks, Tag tag,
                          const std::vector<std::span<const std::byte>>& out,
                          const std::vector<std::span<std::byte>>& in);

}  // namespace regroup::mesh
