// regroup_storage.cpp: state that is read, or made anew: checkpoints and initial weights. Part of RegroupAttempt
// (regroup.hpp).
#include "base/log.hpp"
#include "checkpoint/io/reader.hpp"
#include "checkpoint/io/wanted.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/regroup/initial_weights.hpp"
#include "moe/regroup/odd_ones_out.hpp"
#include "moe/regroup/regroup.hpp"
#include "moe/state/interrupt.hpp"
#include "moe/state/wire.hpp"

#include <algorithm>

namespace regroup {
namespace {

constexpr std::int64_t kInitialWeights = 1 << 25;  // an index of kInventory that no try at a checkpoint reaches

}  // namespace

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

void RegroupAttempt::read_from_storage() {
  make_store({});
  // The directory is the truth: it is asked even where etcd's index knows of no checkpoint.
  if (const auto step = load_checkpoint()) {
    settlement.source = StateSource::kCheckpoint;
    settlement.step = *step;
  } else if (settlement.source == StateSource::kFresh) {
    initialise();
  } else if (!is_in_memory()) {
    // An agent that is silent may have it: the same plan once more may help.
    std::string silent;
    for (const auto& [agent, asked_by] : known_.silent) silent += (silent.empty() ? "" : ", ") + agent;
    if (silent.empty() && leaves_live_out(view_.plan))
      throw Interrupted{
          {Code::kInternal, "live state gave the same fault twice, and there is no other: " + settlement.reason}};
    if (silent.empty()) throw Interrupted{{Code::kUnavailable, settlement.reason}};
    throw Interrupted{{Code::kPeerLost, settlement.reason + "; no answer from the agents at " + silent}};
  }
}

// The newest complete checkpoint that every member can read; one that is damaged is named and the next older one is
// tried. None: there is none, or none that is newer than what is in memory, which the settlement then says.
std::optional<Step> RegroupAttempt::load_checkpoint() {
  const JobSpec& spec = view_.job->spec;
  if (spec.snapshots.checkpoint_dir.empty()) return std::nullopt;
  checkpoint::CheckpointWanted wanted = checkpoint::wanted_by(spec);
  for (std::int64_t attempt = 0;; ++attempt) {
    interrupt_();
    std::string chosen;
    Step step{-1};
    if (view_.self.value == 0) {
      const auto found = checkpoint::find_newest_checkpoint(spec.snapshots.checkpoint_dir, wanted);
      if (found) {
        chosen = found->path;
        step = found->manifest.info.step;
        for (const std::string& skipped : found->skipped) log::warn("checkpoint_skipped", {{"reason", skipped}});
        for (const std::string& note : found->notes) log::warn("checkpoint_differs", {{"note", note}});
      } else if (found.error().code != Code::kNotFound) {
        log::error("checkpoint_refused",
                   {{"directory", spec.snapshots.checkpoint_dir}, {"reason", to_string(found.error())}});
        chosen = "!" + found.error().context;
      }
    }
    WireWriter out;
    out.put(step.value);
    out.put(chosen);
    const auto said = gather(TransferOp::kInventory, 3 * attempt + 1, out.bytes()).front();
    WireReader in(said);
    step = Step(in.get<std::int64_t>());
    chosen = in.get_string();
    if (!chosen.empty() && chosen.front() == '!') throw Interrupted{{Code::kUnavailable, chosen.substr(1)}};
    input_.checkpoint = chosen.empty() ? std::nullopt : std::optional(step);
    input_.fresh_allowed = input_.fresh_allowed && !view_.plan.checkpoint_step;
    settlement = settle(input_);
    if (chosen.empty() || is_in_memory()) return std::nullopt;
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
      settlement.reason = "no newer live state or snapshot is complete; resumed from " + chosen;
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
