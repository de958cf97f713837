// socket_mesh.hpp: the mesh of mesh.hpp over sockets: the main thread's half. The I/O thread's half is io_thread.hpp.
#pragma once

#include "mesh/io_thread.hpp"

namespace regroup::mesh {

class SocketMesh : public Mesh {
 public:
  SocketMesh(const Options& options, Events events);
  Result<void> start();

  [[nodiscard]] std::string address() const override { return address_; }
  void warm(const std::vector<Peer>& peers) override;
  [[nodiscard]] bool connected(const WorkerId& peer) const override;
  void announce(Epoch newer) override;
  Result<void> enter(Epoch epoch, const std::vector<Peer>& participants, std::chrono::milliseconds timeout) override;
  [[nodiscard]] Epoch epoch() const override { return epoch_; }
  [[nodiscard]] Rank self() const override { return self_; }
  [[nodiscard]] int size() const override { return static_cast<int>(links_.size()); }
  void set_progress(std::uint64_t counter) override { state_.progress = counter; }
  void set_hang_limit(std::chrono::milliseconds limit) override { state_.hang_limit_ms = limit.count(); }
  TransferPtr send(Rank to, Tag tag, std::span<const std::byte> bytes, Lane lane) override;
  TransferPtr receive(Rank from, Tag tag, std::span<std::byte> into) override;
  TransferPtr receive_message(Rank from, Tag tag) override;
  [[nodiscard]] bool ready(const TransferPtr& transfer) const override;
  Result<std::size_t> wait(const TransferPtr& transfer) override;
  Result<std::vector<std::byte>> wait_message(const TransferPtr& transfer) override;
  [[nodiscard]] Counters counters() const override;

 private:
  Link& link(Rank rank) const;
  void send_small(Link& to, const TransferPtr& transfer, Lane lane);
  TransferPtr post(Rank from, const std::shared_ptr<Transfer>& receive);
  void block_on(Transfer& transfer);
  [[nodiscard]] bool over() const { return state_.newest.load() > epoch_.value; }

  const Options options_;
  MeshState state_;
  Epoch epoch_;
  Rank self_{-1};
  std::vector<std::shared_ptr<Link>> links_;  // by rank; null for self
  std::string address_;
  std::unique_ptr<IoThread> io_;  // last: it goes first
};

}  // namespace regroup::mesh
