#include "moe/step/gather.hpp"

#include "base/now.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/tags.hpp"

#include <chrono>
#include <span>

namespace regroup {

DenseGather::DenseGather(const EpochView& view, mesh::Mesh& mesh, const ShardStore& store,
                         const std::vector<ComputeForm>& forms, Trace* trace)
    : view_(view), mesh_(mesh), store_(store), forms_(forms), trace_(trace), gathered_(view.job->units.size()) {
  for (const Unit& unit : view_.job->units) {
    if (unit.is_expert()) continue;
    Gathered& gathered = gathered_[static_cast<std::size_t>(unit.index)];
    const ComputeForm& form = forms_[static_cast<std::size_t>(unit.index)];
    const ShardPtr whole = store_.exactly(unit.index, {0, kBlocksPerUnit});
    if (whole != nullptr && form.precision() == Precision::kFp32) {
      gathered.base = reinterpret_cast<std::byte*>(whole->master());
    } else {
      gathered.buffer = Floats(form.bytes() / static_cast<std::int64_t>(sizeof(float)));
      gathered.buffer.zero();
      gathered.base = reinterpret_cast<std::byte*>(gathered.buffer.data());
    }
  }
}

void DenseGather::begin(Step step) {
  seconds_waited_ = 0;
  sends_.clear();
  for (const Unit& unit : view_.job->units) {
    if (unit.is_expert()) continue;
    Gathered& gathered = gathered_[static_cast<std::size_t>(unit.index)];
    const ComputeForm& form = forms_[static_cast<std::size_t>(unit.index)];
    gathered.receives.clear();
    for (int other = 0; other < view_.group_size(); ++other) {
      const Rank rank = view_.rank_of(other);
      int number = 0;
      for (const Interval& blocks : view_.kept(unit.index, rank).intervals()) {
        const mesh::Tag tag = make_tag(step, TransferOp::kGather, unit.index * 256 + number++);
        const std::int64_t offset = form.byte_of(blocks.lo * unit.block_elements);
        const std::span bytes(gathered.base + offset,
                              static_cast<std::size_t>(form.byte_of(blocks.hi * unit.block_elements) - offset));
        if (other == view_.member) {
          const ShardPtr shard = store_.exactly(unit.index, blocks);
          REGROUP_CHECK(shard != nullptr, "no shard of unit", unit.index, "blocks", blocks.lo, blocks.hi);
          if (!gathered.buffer.empty()) ops::compute_weights(unit, form, blocks, shard->master(), gathered.base);
        }
        if (bytes.empty()) continue;  // nothing but padding
        if (other != view_.member) {
          gathered.receives.push_back(mesh_.receive(rank, tag, bytes));
          continue;
        }
        for (int to = 0; to < view_.group_size(); ++to) {
          if (to != view_.member) sends_.push_back(mesh_.send(view_.rank_of(to), tag, bytes));
        }
      }
    }
  }
}

std::byte* DenseGather::weights(int unit) {
  Gathered& gathered = gathered_[static_cast<std::size_t>(unit)];
  if (!gathered.receives.empty()) {
    const TracedSpan span(trace_, StepPhase::kGather);
    const auto start = std::chrono::steady_clock::now();
    for (const mesh::TransferPtr& receive : gathered.receives) must(mesh_.wait(receive));
    gathered.receives.clear();
    seconds_waited_ += seconds_since(start);
  }
  return gathered.base;
}

void DenseGather::end() {
  for (const mesh::TransferPtr& send : sends_) must(mesh_.wait(send));
  sends_.clear();
}

}  // namespace regroup
