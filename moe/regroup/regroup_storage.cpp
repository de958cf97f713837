// regroup_storage.cpp: state that is read, or made anew: checkpoints and initial weights. Part of RegroupAttempt
// (regroup.hpp).
#include "base/log.hpp"
#include "checkpoint/io/reader.hpp"
#include "checkpoint/io/wanted.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/regroup/common_digest.hpp"
#include "moe/regroup/initial_weights.hpp"
#include "moe/regroup/regroup.hpp"
#include "moe/state/interrupt.hpp"

#include <algorithm>
#include <filesystem>

namespace regroup {
namespace {

constexpr std::int64_t kInitialWeights = 1 << 25;  // an index of kInventory that no try at a checkpoint reaches

}  // namespace

// `mine`: name and digest of the newest complete checkpoint on this node, nothing, "!" and why that one is refused, or
// "?" and why it cannot be looked for now: then nobody can be blamed, and all wait.
// Gives what counts, which is this member's, too: one that has something else is refused by name, and the others wait
// for the plan that goes on without it.
std::string RegroupAttempt::agree_on_checkpoint(const std::string& mine, std::int64_t index) {
  const std::vector<std::string> found = gather_texts(index, mine);
  for (std::size_t rank = 0; rank < found.size(); ++rank) {
    if (found[rank].starts_with('?'))
      throw Interrupted{
          {Code::kUnavailable, "snapshots.dir on node " + node_of(rank).value + ": " + found[rank].substr(1)}};
  }
  const std::string common = common_digest(found);
  const auto text = [](const std::string& what) {
    if (what.empty()) return std::string("no complete checkpoint");
    return what.front() == '!' ? "one that is refused (" + what.substr(1) + ")" : what;
  };
  const auto sentence = [&](std::size_t rank) {
    return "snapshots.dir on node " + node_of(rank).value + " holds " + text(found[rank]) +
           ", those of other nodes hold " + text(common) + ": it must be the same directory on every node";
  };
  if (mine != common) throw WrongFiles{{{Code::kBadInput, sentence(static_cast<std::size_t>(view_.self.value))}}};
  if (common.starts_with('!')) throw Interrupted{{Code::kUnavailable, common.substr(1)}};
  for (std::size_t rank = 0; rank < found.size(); ++rank)
    if (found[rank] != common) throw Interrupted{{Code::kUnavailable, sentence(rank)}};
  return common;
}

void RegroupAttempt::read_from_storage() {
  make_store({});
  // The directory is the truth: it is asked even where etcd's index knows of no checkpoint.
  const auto step = load_checkpoint();
  if (view_.self.value == 0) damaged.set_aside(view_.job->spec.snapshots.checkpoint_dir);
  settlement.reason += damaged.text();
  if (step) {
    settlement.source = StateSource::kCheckpoint;
    settlement.step = *step;
  } else if (settlement.source == StateSource::kFresh && known_.silent.empty()) {
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

// The newest complete checkpoint, which every member must have and can read; one that is damaged is named and the next
// older one is tried. None: there is none, or none that is newer than what is in memory, which the settlement then
// says.
std::optional<Step> RegroupAttempt::load_checkpoint() {
  const JobSpec& spec = view_.job->spec;
  if (spec.snapshots.checkpoint_dir.empty()) return std::nullopt;
  checkpoint::CheckpointWanted wanted = checkpoint::wanted_by(spec);
  for (std::int64_t attempt = 0;; ++attempt) {
    interrupt_();
    const auto found = checkpoint::find_newest_checkpoint(spec.snapshots.checkpoint_dir, wanted);
    std::string mine;
    if (found) {
      mine = std::filesystem::path(found->path).filename().string() + " (digest " + found->digest + ")";
      for (const std::string& skipped : found->skipped) log::warn("checkpoint_skipped", {{"reason", skipped}});
      for (const std::string& note : found->notes) log::warn("checkpoint_differs", {{"note", note}});
    } else if (found.error().code != Code::kNotFound) {
      log::error("checkpoint_refused",
                 {{"directory", spec.snapshots.checkpoint_dir}, {"reason", to_string(found.error())}});
      // What a file system says may be another thing in a moment; a checkpoint of another job stays one.
      mine = (found.error().code == Code::kBadInput ? "!" : "?") + found.error().context;
    }
    const bool is_there = !agree_on_checkpoint(mine, 2 * attempt + 1).empty();
    if (!is_there && !found && !found.error().context.ends_with(checkpoint::kNoneComplete))
      damaged.add(found.error().context);
    input_.checkpoint = is_there ? std::optional(found->manifest.info.step) : std::nullopt;
    input_.fresh_allowed = input_.fresh_allowed && !view_.plan.checkpoint_step;
    settlement = settle(input_);
    if (!is_there || is_in_memory()) return std::nullopt;
    const std::string& chosen = found->path;
    if (const std::string other = checkpoint::computed_elsewhere(found->manifest, spec, fingerprint); !other.empty())
      throw Interrupted{{Code::kUnavailable, "the checkpoint " + chosen + " " + other}};
    auto reader = checkpoint::CheckpointReader::open(chosen);
    Result<void> read;
    if (reader) {
      std::vector<checkpoint::PartBuffer> buffers;
      for (const ShardPtr& shard : created_)
        buffers.push_back({shard->unit, shard->blocks, reinterpret_cast<std::byte*>(shard->state.data())});
      read = (*reader)->read(buffers);
    } else {
      read = reader.error();
    }
    if (!read) log::error("checkpoint_damaged", {{"path", chosen}, {"reason", to_string(read.error())}});
    const auto all = gather_texts(2 * attempt + 2, read ? std::string() : to_string(read.error()));
    const auto problem = std::find_if(all.begin(), all.end(), [](const std::string& said) { return !said.empty(); });
    if (problem == all.end()) {
      for (const std::string& why : found->damaged) damaged.add("the checkpoint " + why, found->newest_damaged);
      bytes_received = (*reader)->bytes_read();
      bad = (*reader)->manifest().info.bad;
      log::info("checkpoint_read",
                {{"path", chosen}, {"step", (*reader)->manifest().info.step.value}, {"bytes", bytes_received}});
      settlement.reason = "no newer live state or snapshot is complete; resumed from " + chosen;
      return (*reader)->manifest().info.step;
    }
    damaged.add(chosen, found->manifest.info.step, *problem);
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
    const auto all = gather_texts(kInitialWeights, problem);
    if (!problem.empty()) throw WrongFiles{{{Code::kBadInput, problem}}};
    for (const std::string& said : all)
      if (!said.empty()) throw Interrupted{{Code::kUnavailable, said}};
    bytes_received = *read;
    settlement.reason += " from " + spec.initial_weights;
    return;
  }
  for (const ShardPtr& shard : created_) {
    ops::init_blocks(view_.job->units[static_cast<std::size_t>(shard->unit)], shard->blocks, view_.job->shape(),
                     view_.job->spec.seed, shard->master());
  }
}

}  // namespace regroup
