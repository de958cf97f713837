#include "moe/regroup/regroup.hpp"

#include "base/log.hpp"
#include "base/now.hpp"
#include "checkpoint/io/reader.hpp"
#include "checkpoint/io/wanted.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/regroup/initial_weights.hpp"
#include "moe/regroup/odd_ones_out.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/wire.hpp"

#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace regroup {
namespace {

constexpr std::int64_t kInitialWeights = 1 << 25;  // an index of kInventory that no try at a checkpoint reaches

bool usable_of(const Known& known, const Settlement& settlement, Rank rank) {
  return std::any_of(settlement.usable.begin(), settlement.usable.end(), [&](int i) {
    const Inventory& inventory = known.inventories[static_cast<std::size_t>(i)];
    return inventory.holder == rank.value && inventory.kind != StateKind::kSnapshot;
  });
}

}  // namespace

RegroupAttempt::RegroupAttempt(mesh::Mesh& mesh, const EpochView& view, CarriedState& state, Prepared prepared,
                               std::function<void()> interrupt)
    : mesh_(mesh), view_(view), state_(state), prepared_(std::move(prepared)), interrupt_(std::move(interrupt)) {}

std::vector<std::vector<std::byte>> RegroupAttempt::gather(TransferOp op, std::int64_t index,
                                                           std::span<const std::byte> mine) {
  return must(all_gather_v(mesh_, view_.participant_ranks(), make_tag(kNoStep, op, index), mine));
}

const NodeId& RegroupAttempt::node_of(std::size_t rank) const {
  const std::size_t members = view_.plan.members.size();
  return rank < members ? view_.plan.members[rank].worker.node : view_.plan.donors[rank - members].worker.node;
}

void RegroupAttempt::run() {
  const auto start = Clock::now();
  agree();
  if (std::find(settlement.roll_forward.begin(), settlement.roll_forward.end(), view_.self.value) !=
      settlement.roll_forward.end()) {
    state_.record = known_.records.at(settlement.step.value);
    state_.bad = prepared_.roll_forward(*state_.record);
    state_.live = settlement.step;
  }
  agree_ms = ms_since(start);

  const auto moving = Clock::now();
  const bool holds = state_.live == settlement.step && usable_of(known_, settlement, view_.self);
  if (settlement.source == StateSource::kLive || settlement.source == StateSource::kSnapshot) {
    make_store(holds ? &state_.store : nullptr);
    move_.emplace(mesh_, view_, known_, settlement, state_.store, store, interrupt_).run();
    bytes_received = move_->bytes_received;
    bytes_from_own_agent = move_->bytes_from_own_agent;
    bad = known_.bad_until(settlement.step);
  } else {
    make_store(nullptr);
    // The directory is the truth: it is asked even where etcd's index knows of no checkpoint.
    if (const auto step = load_checkpoint()) {
      settlement.source = StateSource::kCheckpoint;
      settlement.step = *step;
    } else if (settlement.source == StateSource::kFresh) {
      initialise();
    } else {
      throw Interrupted{{Code::kUnavailable, settlement.reason}};
    }
  }
  if (const auto found = known_.records.find(settlement.step.value); found != known_.records.end())
    record = found->second;
  // Nobody frees what it held before everybody has what it wants.
  must(barrier(mesh_, view_.participant_ranks(), make_tag(kNoStep, TransferOp::kLeave)));
  move_ms = ms_since(moving);
}

void RegroupAttempt::agree() {
  Holdings mine{state_.live, std::nullopt, state_.store.held(), state_.record, state_.bad, state_.validation};
  if (prepared_.step && state_.live && *prepared_.step == Step(state_.live->value + 1)) mine.prepared = prepared_.step;
  mine.untouched = !prepared_.step && (view_.plan.origin == Origin::kFresh || state_.untouched == view_.plan.parent);
  state_.untouched = mine.untouched ? std::optional(view_.plan.epoch) : std::nullopt;
  known_ = exchange_holdings(mesh_, view_, mine);
  validation = known_.validation;
  SettleInput input;
  input.num_units = static_cast<int>(view_.job->units.size());
  input.checkpoint = view_.plan.checkpoint_step;
  input.fresh_allowed = view_.plan.origin == Origin::kFresh || known_.untouched;
  for (const auto& [step, vote_record] : known_.records) input.vote_records.push_back(Step(step));
  input.inventories = known_.inventories;
  settlement = settle(input);
  // Live state is the common case and needs no agent; whether to ask them is the same decision on every participant.
  if (settlement.source != StateSource::kLive) {
    exchange_snapshots(mesh_, view_, known_);
    input.inventories = known_.inventories;
    settlement = settle(input);
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

// Shards that stay are shared with the old store, what overlaps is copied, the rest is left to be filled.
void RegroupAttempt::make_store(const ShardStore* held) {
  if (view_.is_donor() || view_.group_index < 0) return;
  for (const Unit& unit : view_.job->units) {
    for (const Interval& blocks : view_.kept(unit.index, view_.self).intervals()) {
      if (ShardPtr same = held != nullptr ? held->exactly(unit.index, blocks) : nullptr) {
        store.add(std::move(same));
        continue;
      }
      auto shard = std::make_shared<Shard>(unit, blocks);
      store.add(shard);
      created_.push_back(shard);
      if (held == nullptr) continue;
      for (const auto& [key, old] : held->all()) {
        const Interval overlap{std::max(old->blocks.lo, blocks.lo), std::min(old->blocks.hi, blocks.hi)};
        if (old->unit != unit.index || overlap.lo >= overlap.hi) continue;
        const auto bytes = static_cast<std::size_t>(overlap.size() * unit.block_elements) * sizeof(float);
        for (int array = 0; array < 3; ++array) {
          std::memcpy(shard->array(array) + shard->element_of(overlap.lo),
                      old->array(array) + old->element_of(overlap.lo), bytes);
        }
      }
    }
  }
}

// Every member reads the path on its own node. False: most have no checkpoint there. One that has another than most, or
// none where they have one, is refused by name, and the others wait for the plan that goes on without it.
bool RegroupAttempt::agree_on_content(const std::string& path, const std::string& digest, std::int64_t index) {
  std::vector<std::string> digests;
  for (const auto& said : gather(TransferOp::kInventory, index, std::as_bytes(std::span(digest.data(), digest.size()))))
    digests.emplace_back(reinterpret_cast<const char*>(said.data()), said.size());
  const std::string common = common_digest(digests);
  if (common.empty()) return false;
  const auto sentence = [&](std::size_t rank) {
    return "the checkpoint " + path + " on node " + node_of(rank).value +
           (digests[rank].empty() ? " is not there or not complete"
                                  : " is another one (digest " + digests[rank] + ", the others have " + common + ")") +
           ": snapshots.dir must be the same on every node";
  };
  if (digest != common) throw WrongFiles{{{Code::kBadInput, sentence(static_cast<std::size_t>(view_.self.value))}}};
  for (std::size_t rank = 0; rank < digests.size(); ++rank)
    if (digests[rank] != common) throw Interrupted{{Code::kUnavailable, sentence(rank)}};
  return true;
}

// The newest complete checkpoint that every member can read; one that is damaged is named and the next older one is
// tried.
std::optional<Step> RegroupAttempt::load_checkpoint() {
  const JobSpec& spec = view_.job->spec;
  if (spec.snapshots.checkpoint_dir.empty()) return std::nullopt;
  checkpoint::CheckpointWanted wanted = checkpoint::wanted_by(spec);
  for (std::int64_t attempt = 0;; ++attempt) {
    interrupt_();
    std::string chosen;
    if (view_.self.value == 0) {
      const auto found = checkpoint::find_newest_checkpoint(spec.snapshots.checkpoint_dir, wanted);
      if (found) {
        chosen = found->path;
        for (const std::string& skipped : found->skipped) log::warn("checkpoint_skipped", {{"reason", skipped}});
        for (const std::string& note : found->notes) log::warn("checkpoint_differs", {{"note", note}});
      } else if (found.error().code != Code::kNotFound) {
        log::error("checkpoint_refused",
                   {{"directory", spec.snapshots.checkpoint_dir}, {"reason", to_string(found.error())}});
        chosen = "!" + found.error().context;
      }
    }
    const auto said =
        gather(TransferOp::kInventory, 3 * attempt + 1, std::as_bytes(std::span(chosen.data(), chosen.size()))).front();
    chosen.assign(reinterpret_cast<const char*>(said.data()), said.size());
    if (chosen.empty()) return std::nullopt;
    if (chosen.front() == '!') throw Interrupted{{Code::kUnavailable, chosen.substr(1)}};
    auto reader = checkpoint::CheckpointReader::open(chosen);
    const bool common = agree_on_content(chosen, reader ? (*reader)->digest() : std::string(), 3 * attempt + 2);
    Result<void> read;
    if (reader && common) {
      std::vector<checkpoint::PartBuffer> buffers;
      for (const ShardPtr& shard : created_)
        buffers.push_back({shard->unit, shard->blocks, reinterpret_cast<std::byte*>(shard->state.data())});
      read = (*reader)->read(buffers);
    } else {
      read = reader ? Error{Code::kCorrupt, "most members have nothing there that can be read"} : reader.error();
    }
    if (!read) log::error("checkpoint_damaged", {{"path", chosen}, {"reason", to_string(read.error())}});
    const std::uint8_t good = read ? 1 : 0;
    const auto all = gather(TransferOp::kInventory, 3 * attempt + 3, std::as_bytes(std::span(&good, 1)));
    if (std::all_of(all.begin(), all.end(),
                    [](const auto& vote) { return vote.size() == 1 && vote.front() == std::byte{1}; })) {
      bytes_received = (*reader)->bytes_read();
      bad = (*reader)->manifest().info.bad;
      log::info("checkpoint_read",
                {{"path", chosen}, {"step", (*reader)->manifest().info.step.value}, {"bytes", bytes_received}});
      settlement.reason = "no live state or snapshot is complete; resumed from " + chosen;
      return (*reader)->manifest().info.step;
    }
    wanted.not_these.push_back(chosen);
  }
}

void RegroupAttempt::initialise() {
  const JobSpec& spec = view_.job->spec;
  for (const ShardPtr& shard : created_) shard->state.zero();
  if (!spec.initial_weights.empty()) {
    const auto read = read_initial_weights(spec, created_);
    // One that cannot read must not leave the others waiting for it.
    const std::string problem = read ? std::string()
                                     : "initial weights on node " +
                                           node_of(static_cast<std::size_t>(view_.self.value)).value + ": " +
                                           read.error().context;
    const auto all =
        gather(TransferOp::kInventory, kInitialWeights, std::as_bytes(std::span(problem.data(), problem.size())));
    if (!problem.empty()) throw WrongFiles{{{Code::kBadInput, problem}}};
    for (const auto& said : all)
      if (!said.empty())
        throw Interrupted{{Code::kUnavailable, std::string(reinterpret_cast<const char*>(said.data()), said.size())}};
    bytes_received = *read;
    settlement.reason += "; initial weights from " + spec.initial_weights;
    return;
  }
  for (const ShardPtr& shard : created_) {
    ops::init_blocks(view_.job->units[static_cast<std::size_t>(shard->unit)], shard->blocks, view_.job->shape(),
                     view_.job->spec.seed, shard->master());
  }
}

}  // namespace regroup
