#include "moe/train/gather.hpp"

#include "moe/train/interrupt.hpp"
#include "moe/train/tags.hpp"

#include <chrono>
#include <cstring>

namespace regroup {

DenseGather::DenseGather(const EpochView& view, Mesh& mesh, const ShardStore& store)
    : view_(view), mesh_(mesh), store_(store), gathered_(view.job->units.size()) {
  for (const Unit& unit : view_.job->units) {
    if (unit.is_expert()) continue;
    Gathered& gathered = gathered_[static_cast<std::size_t>(unit.index)];
    if (const ShardPtr whole = store_.exactly(unit.index, {0, kBlocksPerUnit})) {
      gathered.direct = whole->master();
    } else {
      gathered.buffer = Floats(unit.padded_numel());
      gathered.buffer.zero();
    }
  }
}

void DenseGather::begin(Step step) {
  seconds_waited_ = 0;
  sends_.clear();
  for (const Unit& unit : view_.job->units) {
    if (unit.is_expert()) continue;
    Gathered& gathered = gathered_[static_cast<std::size_t>(unit.index)];
    gathered.receives.clear();
    for (int other = 0; other < view_.group_size(); ++other) {
      const Rank rank = view_.rank_of(other);
      int number = 0;
      for (const Interval& blocks : view_.kept(unit.index, rank).intervals()) {
        const Tag tag = make_tag(step, TransferOp::kGather, unit.index * 256 + number++);
        const std::int64_t offset = blocks.lo * unit.block_elements;
        const std::int64_t count = blocks.size() * unit.block_elements;
        if (other != view_.member) {
          gathered.receives.push_back(mesh_.receive(rank, tag, writable_bytes(gathered.buffer.data() + offset, count)));
          continue;
        }
        const ShardPtr shard = store_.exactly(unit.index, blocks);
        REGROUP_CHECK(shard != nullptr, "no shard of unit", unit.index, "blocks", blocks.lo, blocks.hi);
        if (gathered.direct == nullptr) std::memcpy(gathered.buffer.data() + offset, shard->master(), static_cast<std::size_t>(count) * sizeof(float));
        for (int to = 0; to < view_.group_size(); ++to) {
          if (to != view_.member) sends_.push_back(mesh_.send(view_.rank_of(to), tag, bytes_of(shard->master(), count)));
        }
      }
    }
  }
}

float* DenseGather::weights(int unit) {
  Gathered& gathered = gathered_[static_cast<std::size_t>(unit)];
  if (gathered.direct != nullptr) return gathered.direct;
  if (!gathered.receives.empty()) {
    const auto start = std::chrono::steady_clock::now();
    for (const TransferPtr& receive : gathered.receives) must(mesh_.wait(receive));
    gathered.receives.clear();
    seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return gathered.buffer.data();
}

void DenseGather::end() {
  for (const TransferPtr& send : sends_) must(mesh_.wait(send));
  sends_.clear();
}

}  // namespace regroup
