// snapshot_fetch.hpp: brings blocks of one step from agents' snapshots into this worker's shards. Each piece comes from
// the agent that the route names; where that one fails, from the next that keeps it, at once.
//
// Agents are asked beside each other, so several that are silent cost one timeout. One that failed is asked last for
// the rest of the fetch, and is noted. It accuses nobody. Threads end with run().
#pragma once

#include "layout/route.hpp"
#include "moe/regroup/inventory.hpp"
#include "moe/state/epoch_view.hpp"
#include "moe/state/held_shards.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace regroup {

class SnapshotFetch {
 public:
  // `to`: has a shard for every piece; what comes is added to its blocks, also before an interruption. `unanswered`:
  // agents that failed when they were asked last; kept up to date. `interrupt` is called on threads.
  SnapshotFetch(const EpochView& view, const Known& known, Step step, HeldShards& to, std::set<std::string>& unanswered,
                const std::function<void()>& interrupt)
      : view_(view), known_(known), step_(step), to_(to), unanswered_(unanswered), interrupt_(interrupt) {}

  // Throws Interrupted: a newer plan came, or some blocks could be had from nobody; the text says which, and why.
  void run(const std::vector<Piece>& pieces);

  std::int64_t bytes_received = 0;
  std::int64_t bytes_from_own_agent = 0;  // of these

 private:
  struct Wanted {
    Piece piece;
    std::map<int, std::string> tried = {};  // holder -> why it failed
  };
  struct Answer {  // of one agent
    std::vector<Piece> got;
    std::vector<Wanted> open;
    std::optional<Error> problem;       // of the agent
    std::optional<Error> interruption;  // of this worker
  };
  [[nodiscard]] const std::string& address(int holder) const;
  [[nodiscard]] Answer ask(int holder, const std::vector<Wanted>& wanted) const;
  [[nodiscard]] std::optional<Error> why_stop() const;
  Result<void> fetch(SnapshotClient& client, const Piece& piece) const;
  void note(int holder, const Answer& answer);
  [[nodiscard]] std::vector<Wanted> from_others(const Wanted& wanted) const;

  const EpochView& view_;
  const Known& known_;
  const Step step_;
  HeldShards& to_;
  std::set<std::string>& unanswered_;
  const std::function<void()>& interrupt_;
};

}  // namespace regroup
