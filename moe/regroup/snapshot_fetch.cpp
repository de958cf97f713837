#include "moe/regroup/snapshot_fetch.hpp"

#include "base/log.hpp"
#include "moe/state/interrupt.hpp"

#include <algorithm>
#include <cstring>
#include <future>
#include <iterator>
#include <tuple>
#include <utility>

namespace regroup {

const std::string& SnapshotFetch::address(int holder) const {
  return known_.agents[static_cast<std::size_t>(holder - kAgentHolder)];
}

void SnapshotFetch::run(const std::vector<Piece>& pieces) {
  std::vector<Wanted> left;
  for (const Piece& piece : pieces) left.push_back({piece});
  while (!left.empty()) {
    std::map<int, std::vector<Wanted>> by_holder;
    for (Wanted& wanted : left) by_holder[wanted.piece.from].push_back(std::move(wanted));
    std::map<int, std::future<Answer>> asked;
    for (const auto& [holder, wanted] : by_holder)
      asked.emplace(holder, std::async(std::launch::async,
                                       [this, holder = holder, &wanted = wanted] { return ask(holder, wanted); }));
    std::vector<Wanted> open;
    std::optional<Error> interruption;
    for (auto& [holder, future] : asked) {
      const Answer answer = future.get();
      note(holder, answer);
      open.insert(open.end(), answer.open.begin(), answer.open.end());
      if (answer.interruption) interruption = answer.interruption;
    }
    if (interruption) throw Interrupted{*interruption};
    left.clear();
    for (const Wanted& wanted : open) {
      auto next = from_others(wanted);
      left.insert(left.end(), std::make_move_iterator(next.begin()), std::make_move_iterator(next.end()));
    }
  }
}

SnapshotFetch::Answer SnapshotFetch::ask(int holder, const std::vector<Wanted>& wanted) const {
  Answer answer;
  const auto client = connect_to_agent(view_, address(holder));
  bool is_over = false;
  for (const Wanted& one : wanted) {
    if (!is_over) answer.interruption = why_stop();
    is_over = is_over || answer.interruption;
    if (is_over) {  // asked for elsewhere; here only if nobody else has it
      answer.open.push_back(one);
      continue;
    }
    const auto done = client ? fetch(**client, one.piece) : Result<void>(client.error());
    if (done) {
      answer.got.push_back(one.piece);
      continue;
    }
    answer.problem = done.error();
    answer.open.push_back(one);
    answer.open.back().tried[holder] = to_string(done.error());
    is_over = !client || (*client)->is_broken();
  }
  return answer;
}

std::optional<Error> SnapshotFetch::why_stop() const {
  try {
    interrupt_();
  } catch (const Interrupted& interrupted) {
    return interrupted.error;
  }
  return std::nullopt;
}

Result<void> SnapshotFetch::fetch(SnapshotClient& client, const Piece& piece) const {
  const ShardPtr shard = to_.store.containing(piece.unit, piece.blocks);
  const auto count = static_cast<std::size_t>(piece.blocks.size() * shard->block_elements);
  const Floats buffer(static_cast<std::int64_t>(3 * count));
  if (auto done = client.fetch(step_, piece.unit, piece.blocks, buffer.span()); !done) return done;
  for (int array = 0; array < 3; ++array)
    std::memcpy(shard->array(array) + shard->element_of(piece.blocks.lo),
                buffer.data() + static_cast<std::size_t>(array) * count, count * sizeof(float));
  return {};
}

void SnapshotFetch::note(int holder, const Answer& answer) {
  for (const Piece& piece : answer.got) {
    const std::int64_t elements =
        piece.blocks.size() * view_.job->units[static_cast<std::size_t>(piece.unit)].block_elements;
    const auto bytes = elements * static_cast<std::int64_t>(3 * sizeof(float));
    bytes_received += bytes;
    if (known_.is_own_agent(view_, holder, view_.self)) bytes_from_own_agent += bytes;
    to_.blocks[piece.unit].add(piece.blocks);
  }
  if (answer.problem) {
    log::warn("snapshot_not_fetched", {{"agent", address(holder)}, {"error", to_string(*answer.problem)}});
    unanswered_.insert(address(holder));
  } else if (!answer.got.empty()) {
    unanswered_.erase(address(holder));
  }
}

// In as few parts as may be; one's own agent first, one that failed last.
std::vector<SnapshotFetch::Wanted> SnapshotFetch::from_others(const Wanted& wanted) const {
  std::vector<Wanted> parts;
  Interval left = wanted.piece.blocks;
  while (left.lo < left.hi) {
    std::tuple<bool, bool, int, int> best;  // failed, not our own, minus its last block, holder
    bool found = false;
    for (const Inventory& inventory : known_.inventories) {
      if (inventory.kind != StateKind::kSnapshot || inventory.step != step_) continue;
      if (wanted.tried.contains(inventory.holder)) continue;
      for (const HeldBlocks& held : inventory.blocks) {
        if (held.unit != wanted.piece.unit) continue;
        for (const Interval& interval : held.blocks.intervals()) {
          if (interval.lo > left.lo || interval.hi <= left.lo) continue;
          const std::tuple candidate(unanswered_.contains(address(inventory.holder)),
                                     !known_.is_own_agent(view_, inventory.holder, view_.self),
                                     -std::min(left.hi, interval.hi), inventory.holder);
          if (!found || candidate < best) best = candidate;
          found = true;
        }
      }
    }
    if (!found) {
      std::string why = "blocks " + std::to_string(left.lo) + ".." + std::to_string(left.hi) + " of unit " +
                        std::to_string(wanted.piece.unit) + " at step " + std::to_string(step_.value) +
                        " could be had from no agent";
      for (const auto& [holder, problem] : wanted.tried) why += "; " + problem;
      throw Interrupted{{Code::kPeerLost, why}};
    }
    parts.push_back(wanted);
    parts.back().piece.blocks = {left.lo, -std::get<2>(best)};
    parts.back().piece.from = std::get<3>(best);
    left.lo = parts.back().piece.blocks.hi;
  }
  return parts;
}

}  // namespace regroup
