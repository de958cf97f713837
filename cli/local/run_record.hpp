// run_record.hpp: adds up journal lines and injected events into what --summary and the table print: losses, steps
// lost, regroups with their times. Pure. Rules: README.md.
#pragma once

#include "cli/local/deed.hpp"
#include "cli/local/journal_reader.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace regroup::cli {

struct Injected {
  std::int64_t at_ms = 0;  // wall clock
  Deed deed = Deed::kKillWorker;
  std::string what;  // node-2, the leading coordinator, etcd for 3 s, ...
  Step step;         // committed by then
};

struct RegroupRecord {
  Epoch epoch;
  std::optional<Cause> cause;
  std::string reason;
  int members = 0;
  Step step;             // that training went on from
  double detect_ms = 0;  // injected event -> first evidence; 0 when nobody injected it
  double decide_ms = 0;  // first evidence -> decision
  double stop_ms = 0, agree_ms = 0, move_ms = 0, first_commit_ms = 0;  // slowest member
  double total_ms = 0;                                                 // event, or first evidence -> first commit
  std::int64_t bytes_moved = 0;                                        // received by all members
  std::int64_t bytes_from_own_agents = 0;  // of these, from snapshots on the receiver's own node
  std::string source;                      // words with a + between, where members differ
  std::int64_t steps_lost = 0;             // committed before, computed again in this epoch
};

// One injected event as the table tells it.
struct EventRow {
  Injected event;
  const RegroupRecord* regroup = nullptr;  // the plan that answered it; none for control plane events
  double next_commit_ms = -1;              // event -> next commit of anybody; -1: none came
};

class RunRecord {
 public:
  void inject(Injected event) { injected_.push_back(std::move(event)); }
  void add(const JournalLine& line);

  [[nodiscard]] Step newest_step() const { return newest_; }
  [[nodiscard]] double newest_loss() const;
  [[nodiscard]] Epoch newest_epoch() const { return newest_epoch_; }  // that something was committed in
  [[nodiscard]] std::int64_t first_commit_at_ms() const { return first_commit_at_ms_; }
  [[nodiscard]] const std::string& weights_sha256() const { return weights_sha256_; }
  [[nodiscard]] std::int64_t final_step() const { return finished_step_.value; }
  [[nodiscard]] bool finished() const { return !weights_sha256_.empty(); }
  [[nodiscard]] const std::string& contradiction() const {
    return contradiction_;
  }  // "" = none: two members disagreed about a loss or the digest
  // Losses of steps 1, 2, ... as far as known without a gap before the first known one; a step that nobody reported is
  // NaN.
  [[nodiscard]] std::vector<double> losses() const { return of_each_step(&Commit::loss); }
  [[nodiscard]] std::vector<double> aux_losses() const { return of_each_step(&Commit::aux_loss); }
  [[nodiscard]] const std::map<Step, double>& validation_losses() const { return validations_; }
  [[nodiscard]] std::vector<std::int64_t> bad_steps() const;  // steps that changed no weight, ascending
  [[nodiscard]] std::vector<double> z_losses() const { return of_each_step(&Commit::z_loss); }
  [[nodiscard]] std::int64_t first_loss_step() const;
  [[nodiscard]] std::int64_t steps_lost() const;
  [[nodiscard]] double tokens_per_second() const;                            // first commit to last
  [[nodiscard]] double recent_tokens_per_second(std::int64_t now_ms) const;  // over the last 5 s
  [[nodiscard]] const std::map<Epoch, JournalLine>& plans() const { return plans_; }
  // In order of epoch; only plans that training went on with, or began to.
  [[nodiscard]] std::vector<RegroupRecord> regroups() const;
  // In order of injection. Points into `regroups`.
  [[nodiscard]] std::vector<EventRow> event_rows(const std::vector<RegroupRecord>& regroups) const;

 private:
  struct Commit {
    std::int64_t at_ms = 0;
    double loss = 0, aux_loss = 0, z_loss = 0;
    std::int64_t tokens = 0;
    bool bad = false;
  };
  [[nodiscard]] std::vector<double> of_each_step(double Commit::*value) const;
  [[nodiscard]] std::map<std::size_t, Epoch> match_injected() const;
  [[nodiscard]] std::int64_t steps_lost_in(Epoch epoch, Step went_on_from) const;

  std::vector<Injected> injected_;
  std::map<Step, std::map<Epoch, Commit>> commits_;  // first report of each
  std::map<Step, double> validations_;
  std::map<Epoch, std::int64_t> first_commit_of_;
  std::map<Epoch, JournalLine> plans_;
  std::map<Epoch, std::map<std::string, JournalLine>> reports_;  // by worker
  std::vector<std::int64_t> commit_times_;
  Step newest_, finished_step_;
  Epoch newest_epoch_;
  std::int64_t first_commit_at_ms_ = 0, last_commit_at_ms_ = 0;
  std::string weights_sha256_, contradiction_;
};

}  // namespace regroup::cli
