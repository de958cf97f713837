// timeline.hpp: from the agents' journals to how long a job stood still after a kill. Pure.
//
// Recovery: kill -> first commit of a step begun afterwards, less one median step of the layout (members, groups) that
// this step ran in. Begun: the commit's time less the step's duration. Whole: kill -> first commit of a step begun
// afterwards by as many members as before. Times are the wall clock's, to a millisecond, as the agents of one machine
// write them.
#pragma once

#include "cli/local/journal_reader.hpp"

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace regroup::bench {

struct Layout {
  int members = 0;
  int groups = 0;
  friend auto operator<=>(const Layout&, const Layout&) = default;
};

// Where the time of one recovery went, in the order in which it passes. The slowest member counts.
struct Phases {
  double detect_ms = 0;  // kill -> first evidence
  double decide_ms = 0;  // -> plan decided
  double stop_ms = 0;    // -> every member has left the old epoch and seen the plan
  double agree_ms = 0;   // connected, inventories exchanged, settled
  double move_ms = 0;
  double first_ms = 0;  // what the first step took above a median step, and all that is not named above
  // until the first step: no step's time is in it
  [[nodiscard]] double still_ms() const { return detect_ms + decide_ms + stop_ms + agree_ms + move_ms; }
};

struct Recovery {
  double recovery_s = 0;
  double whole_s = 0;
  Layout layout;      // that the first step ran in
  double step_s = 0;  // its median
  int plans = 0;      // published until the first commit; more than one: the first did not work out
  std::string cause, source;
  Phases phases;
};

class Timeline {
 public:
  void add(const cli::JournalLine& line);

  // Of the newest commit; nothing before the first.
  [[nodiscard]] std::optional<Layout> layout() const;
  [[nodiscard]] Epoch epoch() const { return commits_.empty() ? Epoch{} : commits_.rbegin()->first; }
  [[nodiscard]] int commits_in(Epoch epoch) const;
  // The first step of an epoch is left out unless there is no other. 0: no step of that layout.
  [[nodiscard]] double median_step_s(Layout layout) const;
  // When the first step begun after `kill_ms` in an epoch after `before` was committed (with at least `members`
  // members); nothing: not yet.
  [[nodiscard]] std::optional<std::int64_t> first_commit_ms(std::int64_t kill_ms, Epoch before, int members = 0) const;
  // `before`: the epoch that the kill fell into. Nothing while it is not over.
  [[nodiscard]] std::optional<Recovery> recovery(std::int64_t kill_ms, Epoch before) const;

 private:
  struct Commit {
    std::int64_t at_ms = 0;  // first report
    double seconds = 0;
  };
  struct First {
    Epoch epoch;
    Commit commit;
  };
  [[nodiscard]] Layout layout_of(Epoch epoch) const;
  [[nodiscard]] std::optional<First> first_commit(std::int64_t kill_ms, Epoch before, int members) const;
  [[nodiscard]] Phases phases_of(Epoch epoch, std::int64_t kill_ms, std::int64_t commit_ms, double step_s) const;

  std::map<Epoch, std::map<Step, Commit>> commits_;
  std::map<Epoch, cli::JournalLine> plans_;
  std::map<Epoch, std::vector<cli::JournalLine>> reports_;  // one a member
};

// Nearest rank; 0 of nothing. share in [0, 1].
double percentile(std::vector<double> values, double share);

}  // namespace regroup::bench
