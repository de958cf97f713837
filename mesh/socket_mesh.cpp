#include "mesh/socket_mesh.hpp"

#include "base/check.hpp"
#include "base/log.hpp"

#include <algorithm>
#include <cstring>

namespace regroup::mesh {
namespace {

constexpr std::size_t kSmallBytes = 16 * 1024;  // copied and done at once

Error newer(std::uint64_t epoch) {
  return {Code::kNewerEpoch, "epoch " + std::to_string(epoch) + " is there: stop and go on in it"};
}

Result<std::vector<ResolvedPeer>> resolve(const std::vector<Peer>& peers, const WorkerId& self) {
  std::vector<ResolvedPeer> resolved;
  for (const Peer& peer : peers) {
    resolved.push_back({peer.id, std::nullopt});
    if (peer.id == self || peer.address.empty()) continue;
    auto address = parse_address(peer.address);
    if (!address) return address.error().within("peer " + to_string(peer.id));
    resolved.back().address = *address;
  }
  return resolved;
}

// While one lives, beats say that the main thread waits in the mesh.
class Waiting {
 public:
  explicit Waiting(std::atomic<bool>& flag) : flag_(flag) { flag_ = true; }
  ~Waiting() { flag_ = false; }

 private:
  std::atomic<bool>& flag_;
};

}  // namespace

Result<std::unique_ptr<Mesh>> Mesh::open(const Options& options, Events events) {
  if (options.secret.empty()) return Error{Code::kBadInput, "the mesh needs the job's secret"};
  if (options.piece_bytes == 0 || options.piece_bytes > (1u << 30))
    return Error{Code::kBadInput, "mesh: piece_bytes must be in 1 byte to 1 GiB"};
  if (options.heartbeat.count() <= 0) return Error{Code::kBadInput, "mesh: heartbeat must be positive"};
  auto mesh = std::make_unique<SocketMesh>(options, std::move(events));
  if (auto started = mesh->start(); !started) return started.error();
  return std::unique_ptr<Mesh>(std::move(mesh));
}

SocketMesh::SocketMesh(const Options& options, Events events) : options_(options), state_(options) {
  io_ = std::make_unique<IoThread>(options, std::move(events), state_);
}

Result<void> SocketMesh::start() {
  auto address = io_->start();
  if (!address) return address.error();
  address_ = *address;
  return {};
}

void SocketMesh::warm(const std::vector<Peer>& peers) {
  std::vector<ResolvedPeer> good;
  for (const Peer& peer : peers) {
    auto resolved = resolve({peer}, options_.self);
    if (resolved) {
      good.push_back(std::move(resolved->front()));
    } else {
      log::warn("mesh_peer_unresolved", {{"reason", to_string(resolved.error())}});
    }
  }
  io_->submit(IoThread::Warm{std::move(good)});
}

bool SocketMesh::connected(const WorkerId& peer) const { return io_->connected(peer); }

void SocketMesh::announce(Epoch newer_epoch) {
  std::uint64_t seen = state_.newest;
  while (seen < newer_epoch.value && !state_.newest.compare_exchange_weak(seen, newer_epoch.value)) {
  }
  if (seen < newer_epoch.value) io_->submit(IoThread::Announce{newer_epoch});
}

Result<void> SocketMesh::enter(Epoch epoch, const std::vector<Peer>& participants, std::chrono::milliseconds timeout) {
  if (state_.newest > epoch.value) return newer(state_.newest);
  const auto own =
      std::find_if(participants.begin(), participants.end(), [this](const Peer& p) { return p.id == options_.self; });
  if (own == participants.end())
    return Error{Code::kBadInput,
                 "epoch " + std::to_string(epoch.value) + " has no place for " + to_string(options_.self)};
  auto peers = resolve(participants, options_.self);
  if (!peers) return peers.error();
  std::uint64_t seen = state_.newest;
  while (seen < epoch.value && !state_.newest.compare_exchange_weak(seen, epoch.value)) {
  }
  const Waiting waiting(state_.waiting);
  const auto request = std::make_shared<EnterRequest>(epoch, std::move(*peers));
  io_->submit(IoThread::Enter{request});
  auto links = request->wait_begun();  // from here on no buffer of an older epoch is touched
  epoch_ = epoch;
  self_ = Rank{static_cast<int>(own - participants.begin())};
  links_ = std::move(links);
  if (const auto outcome = request->wait_ended(timeout)) return *outcome;
  std::string missing;
  for (const auto& link : links_) {
    if (link && !io_->connected(link->id)) missing += (missing.empty() ? "" : ", ") + to_string(link->id);
  }
  return Error{Code::kTimeout, "entering epoch " + std::to_string(epoch.value) + ": not connected in time: " + missing};
}

Link& SocketMesh::link(Rank rank) const {
  CHECK(rank.value >= 0 && rank.value < size() && rank != self_, "rank", rank, "of", size(), "self", self_);
  return *links_[static_cast<std::size_t>(rank.value)];
}

TransferPtr SocketMesh::send(Rank to, Tag tag, std::span<const std::byte> bytes, Lane lane) {
  Link& peer = link(to);
  const auto transfer = std::make_shared<Transfer>(Transfer::Kind::kSend, epoch_, tag);
  transfer->out = bytes;
  Error why;
  if (over()) {
    transfer->fail(newer(state_.newest));
  } else if (bytes.size() > options_.max_message_bytes) {
    transfer->fail({Code::kBadInput, "a message of " + std::to_string(bytes.size()) + " bytes for " +
                                         to_string(peer.id) + "; at most " +
                                         std::to_string(options_.max_message_bytes) + " are sent in one"});
  } else if (peer.arrivals.over(epoch_, why)) {
    transfer->fail(why);
  } else {
    if (bytes.size() <= kSmallBytes) {
      send_small(peer, transfer, lane);
    } else {
      io_->submit(IoThread::SendLarge{links_[static_cast<std::size_t>(to.value)], lane, transfer});
    }
  }
  return transfer;
}

void SocketMesh::send_small(Link& to, const TransferPtr& transfer, Lane lane) {
  const auto connection = to.lanes.look([&](const auto& lanes) { return lanes[static_cast<std::size_t>(lane)]; });
  if (!connection) return transfer->fail({Code::kPeerLost, "peer " + to_string(to.id) + " is not connected"});
  const auto size = transfer->out.size();
  std::array<std::byte, kFrameBytes> frame;
  encode_frame({FrameType::kData, epoch_.value, transfer->tag.value, size, 0, static_cast<std::uint32_t>(size)},
               frame.data());
  if (!connection->try_send_small(frame, transfer->out)) {
    std::vector<std::byte> bytes(frame.begin(), frame.end());
    bytes.insert(bytes.end(), transfer->out.begin(), transfer->out.end());
    io_->submit(IoThread::SendSmall{connection, std::move(bytes)});
  }
  transfer->finish(size);
}

TransferPtr SocketMesh::post(Rank from, const std::shared_ptr<Transfer>& receive) {
  Link& peer = link(from);
  if (over()) {
    receive->fail(newer(state_.newest));
    return receive;
  }
  peer.arrivals.post(receive);
  if (state_.unmatched.lacks_room()) io_->submit(IoThread::Resume{});
  return receive;
}

TransferPtr SocketMesh::receive(Rank from, Tag tag, std::span<std::byte> into) {
  const auto transfer = std::make_shared<Transfer>(Transfer::Kind::kReceive, epoch_, tag);
  transfer->into = into;
  return post(from, transfer);
}

TransferPtr SocketMesh::receive_message(Rank from, Tag tag) {
  return post(from, std::make_shared<Transfer>(Transfer::Kind::kReceiveMessage, epoch_, tag));
}

void SocketMesh::block_on(Transfer& transfer) {
  if (!transfer.pending()) return;
  const Waiting waiting(state_.waiting);
  transfer.state.wait(Transfer::kPending, std::memory_order_acquire);
}

bool SocketMesh::ready(const TransferPtr& transfer) const { return !transfer->pending(); }

Result<std::size_t> SocketMesh::wait(const TransferPtr& transfer) {
  CHECK(transfer != nullptr, "nothing to wait for");
  block_on(*transfer);
  if (transfer->state == Transfer::kFailed) return transfer->error;
  if (transfer->kind == Transfer::Kind::kReceive && !transfer->in_place && !transfer->message.empty()) {
    std::memcpy(transfer->into.data(), transfer->message.data(), transfer->message.size());
    std::vector<std::byte>().swap(transfer->message);  // a second wait copies nothing
  }
  return transfer->moved;
}

Result<std::vector<std::byte>> SocketMesh::wait_message(const TransferPtr& transfer) {
  CHECK(transfer != nullptr && transfer->kind == Transfer::Kind::kReceiveMessage, "not a receive_message");
  block_on(*transfer);
  if (transfer->state == Transfer::kFailed) return transfer->error;
  return std::move(transfer->message);
}

Mesh::Counters SocketMesh::counters() const {
  const MeshCounters& c = state_.counters;
  return {c.bytes_received, c.bytes_fetched, c.refused, c.stale_dropped};
}

}  // namespace regroup::mesh
