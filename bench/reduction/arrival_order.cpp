#include "bench/reduction/arrival_order.hpp"

#include "mesh/transfer.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <algorithm>
#include <cstring>

namespace regroup::bench {

ArrivalOrder::ArrivalOrder(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store, FloatPool& pool)
    : view_(view), mesh_(mesh), pool_(pool) {
  for (const auto& [key, shard] : store.all()) sums_[key].shard = shard;
  std::map<std::pair<int, int>, int> next;  // (from, to): both sides walk units, then overlaps, in the same order
  for (const Unit& unit : view_.job->units) {
    if (!unit.is_expert()) {
      leaves_.emplace(unit.index, Floats(unit.padded_numel()));
      leaves_.at(unit.index).zero();
    }
    const IntervalSet mine = view_.kept(unit.index, view_.self);
    for (const Group& group : view_.plan.placement.groups) {
      if (group == view_.group()) continue;
      for (const Rank rank : group.ranks) {
        for (const Interval& overlap : mine.intersect(view_.kept(unit.index, rank)).intervals()) {
          Part part;
          part.rank = rank;
          part.blocks = overlap;
          part.sent_number = next[{view_.self.value, rank.value}]++;
          part.received_number = next[{rank.value, view_.self.value}]++;
          sums_.at({unit.index, store.containing(unit.index, overlap)->blocks.lo}).parts.push_back(std::move(part));
        }
      }
    }
  }
}

void ArrivalOrder::begin(Step step) {
  discard();
  step_ = step;
  for (auto& [key, sum] : sums_) {
    sum.fresh = true;
    sum.sent = false;
    sum.gradient.sum = pool_.take(sum.shard->numel());
    for (Part& part : sum.parts) {
      part.value = pool_.take(part.blocks.size() * sum.shard->block_elements);
      part.receive = mesh_.receive(part.rank, make_tag(step_, TransferOp::kNodes, part.received_number),
                                   writable_bytes(part.value.data(), part.value.size()));
    }
  }
}

mesh::Tag ArrivalOrder::leaf_tag(int unit, int wave, int number) const {
  return make_tag(step_, TransferOp::kLeaf, (wave * static_cast<int>(view_.job->units.size()) + unit) * 256 + number);
}

void ArrivalOrder::begin_wave(int wave) {
  for (auto unit = view_.job->units.rbegin(); unit != view_.job->units.rend(); ++unit) {
    if (unit->is_expert()) continue;
    int number = 0;
    for (const Interval& blocks : view_.kept(unit->index, view_.self).intervals()) {
      Sum& sum = sums_.at({unit->index, blocks.lo});
      for (int source = 0; source < view_.group_size(); ++source) {
        if (source == view_.member || view_.microbatch(wave, source) < 0) continue;
        Leaf leaf{unit->index, &sum, pool_.take(sum.shard->numel()), nullptr};
        leaf.receive = mesh_.receive(view_.rank_of(source), leaf_tag(unit->index, wave, number),
                                     writable_bytes(leaf.value.data(), leaf.value.size()));
        arriving_.push_back(std::move(leaf));
      }
      ++number;
    }
  }
}

float* ArrivalOrder::leaf(int unit) {
  auto& sends = leaf_sends_[unit];
  for (const mesh::TransferPtr& send : sends) must(mesh_.wait(send));
  sends.clear();
  return leaves_.at(unit).data();
}

void ArrivalOrder::send_leaf(int unit, int wave) {
  const std::int64_t block_elements = view_.job->units[static_cast<std::size_t>(unit)].block_elements;
  const float* data = leaves_.at(unit).data();
  for (int owner = 0; owner < view_.group_size(); ++owner) {
    if (owner == view_.member) continue;
    int number = 0;
    for (const Interval& blocks : view_.kept(unit, view_.rank_of(owner)).intervals())
      leaf_sends_[unit].push_back(
          mesh_.send(view_.rank_of(owner), leaf_tag(unit, wave, number++),
                     bytes_of(data + blocks.lo * block_elements, blocks.size() * block_elements)));
  }
  for (const Interval& blocks : view_.kept(unit, view_.self).intervals())
    add(sums_.at({unit, blocks.lo}), data + blocks.lo * block_elements);
}

void ArrivalOrder::add(Sum& sum, const float* leaf) {
  if (sum.fresh) {
    std::memcpy(sum.gradient.sum.data(), leaf, static_cast<std::size_t>(sum.gradient.sum.size()) * sizeof(float));
  } else {
    ops::add(sum.gradient.sum.data(), leaf, sum.gradient.sum.size());
  }
  sum.fresh = false;
}

bool ArrivalOrder::add_leaves_that_came() {
  bool any = false;
  for (auto leaf = arriving_.begin(); leaf != arriving_.end();) {
    if (leaf->receive->pending()) {
      ++leaf;
      continue;
    }
    must(mesh_.wait(leaf->receive));
    add(*leaf->sum, leaf->value.data());
    pool_.give(std::move(leaf->value));
    leaf = arriving_.erase(leaf);
    any = true;
  }
  return any;
}

void ArrivalOrder::add_leaves(int unit, int) {
  const auto awaited = [&] {
    return std::any_of(arriving_.begin(), arriving_.end(), [&](const Leaf& leaf) { return leaf.unit == unit; });
  };
  while (awaited()) {
    if (!add_leaves_that_came()) must(mesh_.wait(arriving_.front().receive));
  }
}

float* ArrivalOrder::expert_accumulator(int unit, int, bool& fresh) {
  Sum& sum = sums_.at({unit, 0});
  fresh = sum.fresh;
  sum.fresh = false;
  return sum.gradient.sum.data();
}

void ArrivalOrder::unit_done(int unit) {
  for (auto at = sums_.lower_bound({unit, 0}); at != sums_.end() && at->first.first == unit; ++at) {
    Sum& sum = at->second;
    if (sum.fresh) sum.gradient.sum.zero();
    sum.sent = true;
    for (Part& part : sum.parts) {
      const float* own = sum.gradient.sum.data() + sum.shard->element_of(part.blocks.lo);
      part.send = mesh_.send(part.rank, make_tag(step_, TransferOp::kNodes, part.sent_number),
                             bytes_of(own, part.value.size()));
    }
  }
  add_parts_that_came();
}

bool ArrivalOrder::add_parts_that_came() {
  bool any = false;
  for (auto& [key, sum] : sums_) {
    if (!sum.sent ||
        std::any_of(sum.parts.begin(), sum.parts.end(), [](const Part& part) { return part.send->pending(); }))
      continue;
    for (Part& part : sum.parts) {
      if (!part.receive || part.receive->pending()) continue;
      must(mesh_.wait(part.receive));
      part.receive.reset();
      ops::add(sum.gradient.sum.data() + sum.shard->element_of(part.blocks.lo), part.value.data(), part.value.size());
      any = true;
    }
  }
  return any;
}

void ArrivalOrder::finish() {
  for (auto& [key, sum] : sums_) {
    for (Part& part : sum.parts) {
      while (part.receive) {
        if (add_parts_that_came()) continue;
        for (const Part& other : sum.parts) must(mesh_.wait(other.send));
        if (part.receive) must(mesh_.wait(mesh::TransferPtr(part.receive)));
      }
    }
    sum.gradient.squares.clear();
    for (int block = sum.shard->blocks.lo; block < sum.shard->blocks.hi; ++block) {
      sum.gradient.squares.push_back(
          ops::squared_norm(sum.gradient.sum.data() + sum.shard->element_of(block), sum.shard->block_elements));
    }
  }
  for (auto& [unit, sends] : leaf_sends_) {
    for (const mesh::TransferPtr& send : sends) must(mesh_.wait(send));
    sends.clear();
  }
}

const Reduction::Gradient& ArrivalOrder::gradient(const Shard& shard) const {
  return sums_.at({shard.unit, shard.blocks.lo}).gradient;
}

void ArrivalOrder::discard() {
  for (Leaf& leaf : arriving_) pool_.give(std::move(leaf.value));
  arriving_.clear();
  for (auto& [key, sum] : sums_) {
    pool_.give(std::move(sum.gradient.sum));
    sum.gradient.sum = Floats();
    for (Part& part : sum.parts) {
      pool_.give(std::move(part.value));
      part.value = Floats();
      part.send.reset();
      part.receive.reset();
    }
  }
}

}  // namespace regroup::bench
