// watched_mesh.hpp: a mesh that tells of each message before it is sent: a test ends a member between two of them.
#pragma once

#include "mesh/mesh.hpp"
#include "moe/state/tags.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace regroup::testing {

// Thrown where a member dies; its thread ends its mesh.
struct Died {};

class WatchedMesh : public mesh::Mesh {
 public:
  explicit WatchedMesh(std::unique_ptr<mesh::Mesh> mesh) : mesh_(std::move(mesh)) {}

  // Once: before the `nth` message (from 0) of this kind to anybody. All before it have been sent then.
  void before(TransferOp op, std::int64_t index, int nth, std::function<void()> what) {
    watch_ = [this, tag = make_tag(kNoStep, op, index), nth, what = std::move(what)](mesh::Tag sent) mutable {
      if (sent != tag || nth-- != 0) return;
      for (const mesh::TransferPtr& earlier : sends_) (void)mesh_->wait(earlier);
      what();
    };
  }
  void die_before(TransferOp op, std::int64_t index, int nth) {
    before(op, index, nth, [] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));  // whoever was sent one has taken it
      throw Died{};
    });
  }

  [[nodiscard]] std::string address() const override { return mesh_->address(); }
  void warm(const std::vector<mesh::Peer>& peers) override { mesh_->warm(peers); }
  [[nodiscard]] bool connected(const WorkerId& peer) const override { return mesh_->connected(peer); }
  void announce(Epoch newer) override { mesh_->announce(newer); }
  Result<void> enter(Epoch epoch, const std::vector<mesh::Peer>& participants,
                     std::chrono::milliseconds timeout) override {
    sends_.clear();
    return mesh_->enter(epoch, participants, timeout);
  }
  [[nodiscard]] Epoch epoch() const override { return mesh_->epoch(); }
  [[nodiscard]] Rank self() const override { return mesh_->self(); }
  [[nodiscard]] int size() const override { return mesh_->size(); }
  void set_progress(std::uint64_t counter) override { mesh_->set_progress(counter); }
  void set_hang_limit(std::chrono::milliseconds limit) override { mesh_->set_hang_limit(limit); }
  mesh::TransferPtr send(Rank to, mesh::Tag tag, std::span<const std::byte> bytes, mesh::Lane lane) override {
    if (watch_) watch_(tag);
    sends_.push_back(mesh_->send(to, tag, bytes, lane));
    return sends_.back();
  }
  mesh::TransferPtr receive(Rank from, mesh::Tag tag, std::span<std::byte> into) override {
    return mesh_->receive(from, tag, into);
  }
  mesh::TransferPtr receive_message(Rank from, mesh::Tag tag) override { return mesh_->receive_message(from, tag); }
  [[nodiscard]] bool ready(const mesh::TransferPtr& transfer) const override { return mesh_->ready(transfer); }
  Result<std::size_t> wait(const mesh::TransferPtr& transfer) override { return mesh_->wait(transfer); }
  Result<std::vector<std::byte>> wait_message(const mesh::TransferPtr& transfer) override {
    return mesh_->wait_message(transfer);
  }
  [[nodiscard]] Counters counters() const override { return mesh_->counters(); }

 private:
  std::unique_ptr<mesh::Mesh> mesh_;
  std::function<void(mesh::Tag)> watch_;
  std::vector<mesh::TransferPtr> sends_;
};

}  // namespace regroup::testing
