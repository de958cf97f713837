// mesh.hpp: how workers talk: connections that outlive plans, tagged transfers, and waits that always end.
//
// A worker that dies must not leave the others waiting, and a new plan must not cost new connections. So connections
// belong to pairs of worker processes and stay, while ranks belong to an epoch and change; and whatever waits is woken
// when a peer is lost or a newer plan exists.
//
// A process opens one Mesh. warm() and enter() make connections; enter() gives the peers their ranks for one epoch, and
// every operation belongs to the epoch that was entered last. announce(newer) ends that epoch: every waiter wakes with
// kNewerEpoch, and operations of the old epoch return it at once. Frames of older epochs are dropped; frames of an
// epoch that we have not entered yet are kept until we do.
//
// Threads: there is one I/O thread inside. The main thread alone calls send, receive, wait, enter and the collectives;
// any thread may call announce, warm and connected. Events come on the I/O thread.
// Memory: a buffer that was given to send or receive must stay valid until wait() of that operation has returned, with
// any result, or enter() has. From then on this process does not touch it; a peer of this machine may still read what
// was being sent, but throws away what it read.
// Deadlines follow from the heartbeat h. A peer is lost when a connection ends and redialling is refused, or fails four
// times or for h; when nothing came from it for 5 h; or when it beats without progress beyond the hang limit. A peer
// that beats and makes progress, or waits, does not expire; a connection that breaks loses its epoch's messages, and
// both sides are told so once it is had again.
// Errors: kNewerEpoch, kPeerLost (the text names the peer), kTimeout (enter only), kBadInput (that transfer alone).
#pragma once

#include "base/evidence.hpp"
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
  std::size_t piece_bytes = 256 * 1024;  // bulk is sent in pieces of at most this size
  // Bulk from a process of this machine is copied straight from that process's memory where the kernel allows it, and
  // goes through the socket where not. False: always through the socket, in both directions.
  bool read_peer_memory = true;
  // A longer message is not sent (kBadInput), and one that comes ends its connection: no model has a block of that
  // size, so its length is garbage.
  std::size_t max_message_bytes = 1ull << 36;
  // Messages that arrive before their receive() are kept, up to this many bytes over all peers; then the bulk lanes
  // that bring more are not read until room is made. What comes on control lanes is counted and kept in any case.
  std::size_t max_unmatched_bytes = 1ull << 30;
};

struct Events {
  // Each once, and again only after a recovery. Of any peer: kEof (its connection broke and cannot be had again),
  // kSilence, kHang. Of participants of the epoch that was entered last: kUnreachable (not connected 5 h after enter()
  // began, or it refuses), kLink (it is connected, but messages of that epoch are gone).
  std::function<void(const WorkerId& whom, Evidence evidence)> on_lost;
  // Withdraws what was said of it: it is connected on both lanes, or was silent and is heard again. If messages of the
  // epoch were lost meanwhile, on_lost(kLink) follows.
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

// Abstract because a second implementation is to come for GPUs, whose bulk lane is NCCL; SocketMesh is the first.
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
  // kPeerLost when one refuses or was lost, kNewerEpoch when announce() passed `epoch`, kTimeout (names who is
  // missing). Peers that are not connected are dialled (both may dial; the connection dialled by the greater id
  // survives).
  virtual Result<void> enter(Epoch epoch, const std::vector<Peer>& participants, std::chrono::milliseconds timeout) = 0;
  [[nodiscard]] virtual Epoch epoch() const = 0;
  [[nodiscard]] virtual Rank self() const = 0;
  [[nodiscard]] virtual int size() const = 0;

  // The main thread's progress counter, carried by heartbeats together with "is waiting in the mesh".
  virtual void set_progress(std::uint64_t counter) = 0;
  virtual void set_hang_limit(std::chrono::milliseconds limit) = 0;

  // These return at once; errors come from wait().
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
    std::uint64_t bytes_received = 0, bytes_fetched = 0, refused = 0, stale_dropped = 0;
  };
  // fetched: those of the received that were copied from the peer's memory
  [[nodiscard]] virtual Counters counters() const = 0;
};

// Collectives among `ranks` (ascending, self is one of them), as direct exchanges between all pairs. Every rank calls
// with the same tag.
Result<void> barrier(Mesh& mesh, const std::vector<Rank>& ranks, Tag tag);
// [i] = what ranks[i] gave; sizes may differ. On return, success or error, `mine` is no longer referenced: the call
// waits for its outstanding sends to the remaining ranks.
Result<std::vector<std::vector<std::byte>>> all_gather_v(Mesh& mesh, const std::vector<Rank>& ranks, Tag tag,
                                                         std::span<const std::byte> mine, Lane lane = Lane::kControl);
}  // namespace regroup::mesh
