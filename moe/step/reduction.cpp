#include "moe/step/reduction.hpp"

#include "base/now.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <chrono>
#include <cstring>

namespace regroup {
Reduction::Reduction(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, FloatPool& pool)
    : view_(view), mesh_(mesh), pool_(pool), siblings_(view, mesh, store, pool) {
  for (const auto& [key, shard] : store.all()) running_[key].shard = shard;
  for (const Unit& unit : view_.job->units) {
    if (unit.is_expert()) continue;
    leaves_.emplace(unit.index, Floats(unit.padded_numel()));
    leaves_.at(unit.index).zero();
  }
}

void Reduction::begin(Step step) {
  discard();
  step_ = step;
  seconds_waited_ = 0;
  for (auto& [key, running] : running_) {
    running.chain = view_.group().first_chain;
    running.fresh = true;
    running.accumulator = pool_.take(running.shard->numel());
  }
  siblings_.begin(step);
}

void Reduction::begin_wave(int wave) {
  const int units = static_cast<int>(view_.job->units.size());
  for (const auto& [key, running] : running_) {
    const int unit = key.first;
    if (view_.job->units[static_cast<std::size_t>(unit)].is_expert()) continue;
    int number = 0;
    for (const Interval& blocks : view_.kept(unit, view_.self).intervals()) {
      if (blocks == running.shard->blocks) break;
      ++number;
    }
    for (int source = 0; source < view_.group_size(); ++source) {
      if (source == view_.member || view_.microbatch(wave, source) < 0) continue;
      Arriving arriving{source, key, pool_.take(running.shard->numel()), nullptr};
      const mesh::Tag tag = make_tag(step_, TransferOp::kLeaf, (wave * units + unit) * 256 + number);
      arriving.receive =
          mesh_.receive(view_.rank_of(source), tag, writable_bytes(arriving.values.data(), arriving.values.size()));
      arriving_[unit].push_back(std::move(arriving));
    }
  }
}

float* Reduction::leaf(int unit) {
  auto& sends = leaf_sends_[unit];
  for (const mesh::TransferPtr& send : sends) must(mesh_.wait(send));
  sends.clear();
  return leaves_.at(unit).data();
}

void Reduction::send_leaf(int unit, int wave) {
  const int units = static_cast<int>(view_.job->units.size());
  const std::int64_t block_elements = view_.job->units[static_cast<std::size_t>(unit)].block_elements;
  const float* data = leaves_.at(unit).data();
  for (int owner = 0; owner < view_.group_size(); ++owner) {
    if (owner == view_.member) continue;
    int number = 0;
    for (const Interval& blocks : view_.kept(unit, view_.rank_of(owner)).intervals()) {
      const mesh::Tag tag = make_tag(step_, TransferOp::kLeaf, (wave * units + unit) * 256 + number++);
      leaf_sends_[unit].push_back(mesh_.send(
          view_.rank_of(owner), tag, bytes_of(data + blocks.lo * block_elements, blocks.size() * block_elements)));
    }
  }
}

std::vector<Reduction::Running*> Reduction::running_of(int unit) {
  std::vector<Running*> result;
  for (auto it = running_.lower_bound({unit, 0}); it != running_.end() && it->first.first == unit; ++it)
    result.push_back(&it->second);
  return result;
}

// By member, not by arrival: members of a wave compute ascending microbatches, and a chain is summed in that order.
void Reduction::add_leaves(int unit, int wave) {
  const auto start = std::chrono::steady_clock::now();
  for (int source = 0; source < view_.group_size(); ++source) {
    const int microbatch = view_.microbatch(wave, source);
    if (microbatch < 0) continue;
    const int chain = view_.job->chain_of(microbatch);
    for (Running* running : running_of(unit)) {
      if (source == view_.member) {
        add(*running, chain, leaves_.at(unit).data() + running->shard->blocks.lo * running->shard->block_elements);
        continue;
      }
      for (Arriving& arriving : arriving_[unit]) {
        if (arriving.source != source || arriving.key.second != running->shard->blocks.lo) continue;
        must(mesh_.wait(arriving.receive));
        add(*running, chain, arriving.values.data());
        pool_.give(std::move(arriving.values));
      }
    }
  }
  arriving_[unit].clear();
  seconds_waited_ += seconds_since(start);
}

// Chains are closed in ascending order, and each joins the nodes to its left as soon as the tree has both halves: the
// joins depend on the numbers of the chains alone. A chain without a gradient counts as zeros.
void Reduction::close_until(Running& running, int chain) {
  while (running.chain < chain) {
    if (running.fresh) running.accumulator.zero();
    running.nodes.push_back({{0, running.chain}, std::move(running.accumulator)});
    int joins = joins_after_push(running.stack, {0, running.chain});
    while (joins-- > 0) {
      Node right = std::move(running.nodes.back());
      running.nodes.pop_back();
      Node& left = running.nodes.back();
      ops::add(left.value.data(), right.value.data(), left.value.size());
      left.node = left.node.parent();
      pool_.give(std::move(right.value));
    }
    ++running.chain;
    running.fresh = true;
    if (running.chain < view_.group().end_chain) running.accumulator = pool_.take(running.shard->numel());
  }
}

void Reduction::add(Running& running, int chain, const float* leaf) {
  close_until(running, chain);
  if (running.fresh) {
    std::memcpy(running.accumulator.data(), leaf, static_cast<std::size_t>(running.accumulator.size()) * sizeof(float));
    running.fresh = false;
  } else {
    ops::add(running.accumulator.data(), leaf, running.accumulator.size());
  }
}

float* Reduction::expert_accumulator(int unit, int microbatch, bool& fresh) {
  Running& running = running_.at({unit, 0});
  close_until(running, view_.job->chain_of(microbatch));
  fresh = running.fresh;
  running.fresh = false;
  return running.accumulator.data();
}

void Reduction::unit_done(int unit) {
  for (Running* running : running_of(unit)) {
    close_until(*running, view_.group().end_chain);
    siblings_.send(*running->shard, running->nodes);
  }
}

void Reduction::finish() {
  // From the last unit to the first, the order in which backward finished and sent them: trees whose nodes have arrived
  // are completed while the others' nodes are on their way. Units share no sum, so this order changes no bit.
  for (auto it = running_.rbegin(); it != running_.rend(); ++it) {
    Gradient& gradient = gradients_[it->first];
    gradient.sum = siblings_.complete(*it->second.shard, it->second.nodes, gradient.squares);
  }
  const auto start = std::chrono::steady_clock::now();
  // Last: the next step writes into the leaves again.
  for (auto& [unit, sends] : leaf_sends_) {
    for (const mesh::TransferPtr& send : sends) must(mesh_.wait(send));
    sends.clear();
  }
  seconds_waited_ += seconds_since(start);
}

const Reduction::Gradient& Reduction::gradient(const Shard& shard) const {
  const auto found = gradients_.find({shard.unit, shard.blocks.lo});
  REGROUP_CHECK(found != gradients_.end(), "no gradient of unit", shard.unit);
  return found->second;
}

void Reduction::discard() {
  for (auto& [unit, sends] : leaf_sends_) sends.clear();
  for (auto& [unit, list] : arriving_) {
    for (Arriving& arriving : list) pool_.give(std::move(arriving.values));
    list.clear();
  }
  siblings_.discard();
  for (auto& [key, running] : running_) {
    pool_.give(std::move(running.accumulator));
    running.accumulator = Floats();
    for (Node& node : running.nodes) pool_.give(std::move(node.value));
    running.nodes.clear();
    running.stack.clear();
  }
  for (auto& [key, gradient] : gradients_) pool_.give(std::move(gradient.sum));
  gradients_.clear();
}

}  // namespace regroup
