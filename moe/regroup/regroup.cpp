#include "moe/regroup/regroup.hpp"

#include "base/now.hpp"
#include "moe/state/interrupt.hpp"

#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace regroup {
RegroupAttempt::RegroupAttempt(mesh::Mesh& mesh, const EpochView& view, CarriedState& state, Prepared prepared,
                               std::function<void()> interrupt)
    : mesh_(mesh), view_(view), state_(state), prepared_(std::move(prepared)), interrupt_(std::move(interrupt)) {}

std::vector<std::vector<std::byte>> RegroupAttempt::gather(TransferOp op, std::int64_t index,
                                                           std::span<const std::byte> mine) {
  return must(all_gather_v(mesh_, view_.participant_ranks(), make_tag(kNoStep, op, index), mine));
}

std::vector<std::string> RegroupAttempt::gather_texts(std::int64_t index, const std::string& mine) {
  std::vector<std::string> texts;
  for (const auto& said : gather(TransferOp::kInventory, index, std::as_bytes(std::span(mine.data(), mine.size()))))
    texts.emplace_back(reinterpret_cast<const char*>(said.data()), said.size());
  return texts;
}

const NodeId& RegroupAttempt::node_of(std::size_t rank) const {
  const std::size_t members = view_.plan.members.size();
  return rank < members ? view_.plan.members[rank].worker.node : view_.plan.donors[rank - members].worker.node;
}

void RegroupAttempt::run() {
  const auto start = Clock::now();
  agree();
  agree_ms = ms_since(start);

  const auto moving = Clock::now();
  if (!is_in_memory()) read_from_storage();
  if (is_in_memory()) move();
  if (const auto found = known_.records.find(settlement.step.value); found != known_.records.end())
    record = found->second;
  store = new_.store;
  must(barrier(mesh_, view_.participant_ranks(), make_tag(kNoStep, TransferOp::kLeave, 0)));
  must(barrier(mesh_, view_.participant_ranks(), make_tag(kNoStep, TransferOp::kLeave, 1)));
  move_ms = ms_since(moving);
}

bool RegroupAttempt::is_in_memory() const {
  return settlement.source == StateSource::kLive || settlement.source == StateSource::kSnapshot;
}

void RegroupAttempt::keep_moved() {
  if (!move_ || (state_.live == settlement.step && all_of(state_.store).has_all(new_.blocks))) return;  // nothing came
  state_.moved.push_back({settlement.step, bad, std::move(new_)});
}

void RegroupAttempt::agree() {
  Holdings mine{state_.live, std::nullopt, state_.store.held(), state_.record, state_.bad, state_.validation};
  for (const MovedState& moved : state_.moved) mine.moved.push_back({moved.step, moved.bad, listed(moved.held.blocks)});
  if (prepared_.step && state_.live && *prepared_.step == Step(state_.live->value + 1)) mine.prepared = prepared_.step;
  if (leaves_live_out(view_.plan)) {  // nor is it compared with the others': that may be the fault
    mine = {};
    state_.moved.clear();
  }
  known_ = exchange_holdings(mesh_, view_, mine);
  validation = known_.validation;
  input_.num_units = static_cast<int>(view_.job->units.size());
  input_.checkpoint = view_.plan.checkpoint_step;
  input_.fresh_allowed = view_.plan.origin == Origin::kFresh;
  for (const auto& [step, vote_record] : known_.records) input_.vote_records.push_back(Step(step));
  const auto conclude = [this] {
    input_.inventories = known_.inventories;
    settlement = settle(input_);
  };
  conclude();
  // Live state is the common case and needs no agent; whether to ask them is the same decision on every participant.
  if (settlement.source != StateSource::kLive) {
    exchange_snapshots(mesh_, view_, known_, state_.unanswered);
    conclude();
    if (!known_.silent.empty() && may_lose_steps()) {
      exchange_snapshots_again(mesh_, view_, known_, state_.unanswered);
      conclude();
    }
  }
  const std::size_t source =
      settlement.source ? static_cast<std::size_t>(*settlement.source) : kStateSourceWords.words.size();
  const std::string conclusion =
      to_json(view_.plan) + std::to_string(source) + "/" + std::to_string(settlement.step.value);
  const std::uint64_t digest = XXH3_64bits(conclusion.data(), conclusion.size());
  const auto all = gather(TransferOp::kAgree, 0, std::as_bytes(std::span(&digest, 1)));
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].size() != sizeof digest || std::memcmp(all[rank].data(), &digest, sizeof digest) != 0) {
      throw Interrupted{{Code::kInternal, "rank " + std::to_string(rank) + " settled epoch " +
                                              std::to_string(view_.plan.epoch.value) + " differently"}};
    }
  }
}

// Somebody holds a newer step than the one settled on, or nothing in memory is complete.
bool RegroupAttempt::may_lose_steps() const {
  return !is_in_memory() ||
         std::any_of(known_.inventories.begin(), known_.inventories.end(), [this](const Inventory& inventory) {
           return inventory.kind != StateKind::kPrepared && inventory.step > settlement.step;
         });
}

void RegroupAttempt::move() {
  // Of another step it is of no more use, and may share shards with the store, which is to be rolled forward.
  std::erase_if(state_.moved, [this](const MovedState& moved) { return moved.step != settlement.step; });
  if (std::find(settlement.roll_forward.begin(), settlement.roll_forward.end(), view_.self.value) !=
      settlement.roll_forward.end()) {
    state_.record = known_.records.at(settlement.step.value);
    state_.bad = prepared_.roll_forward(*state_.record);
    state_.live = settlement.step;
  }
  bad = known_.bad_until(settlement.step);
  std::vector<HeldShards> held;
  if (state_.live == settlement.step && !leaves_live_out(view_.plan)) held.push_back(all_of(state_.store));
  for (const MovedState& moved : state_.moved) held.push_back(moved.held);
  make_store(held);
  std::erase_if(state_.moved, [this](const MovedState& moved) { return new_.has_all(moved.held.blocks); });
  held.push_back(new_);
  move_.emplace(mesh_, view_, known_, settlement, std::move(held), new_, state_.unanswered, interrupt_);
  move_->run();
  bytes_received = move_->bytes_received;
  bytes_from_own_agent = move_->bytes_from_own_agent;
}

// Shards that stay are shared with the old stores, what overlaps is copied, the rest is left to be filled.
void RegroupAttempt::make_store(const std::vector<HeldShards>& held) {
  new_ = {};
  created_.clear();
  if (view_.is_donor() || view_.group_index < 0) return;
  for (const Unit& unit : view_.job->units) {
    for (const Interval& blocks : view_.kept(unit.index, view_.self).intervals()) {
      IntervalSet& filled = new_.blocks[unit.index];
      const auto same = std::find_if(held.begin(), held.end(), [&](const HeldShards& old) {
        return old.holding(unit.index, blocks) != nullptr && old.store.exactly(unit.index, blocks) != nullptr;
      });
      if (same != held.end()) {
        new_.store.add(same->store.exactly(unit.index, blocks));
        filled.add(blocks);
        continue;
      }
      auto shard = std::make_shared<Shard>(unit, blocks);
      new_.store.add(shard);
      created_.push_back(shard);
      for (const HeldShards& old : held) {
        const auto of_unit = old.blocks.find(unit.index);
        if (of_unit == old.blocks.end()) continue;
        for (const Interval& overlap : of_unit->second.intersect({blocks}).subtract(filled).intervals()) {
          const ShardPtr from = old.holding(unit.index, overlap);
          const auto bytes = static_cast<std::size_t>(overlap.size() * unit.block_elements) * sizeof(float);
          for (int array = 0; array < 3; ++array)
            std::memcpy(shard->array(array) + shard->element_of(overlap.lo),
                        from->array(array) + from->element_of(overlap.lo), bytes);
          filled.add(overlap);
        }
      }
    }
  }
}

}  // namespace regroup
