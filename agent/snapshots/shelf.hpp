// shelf.hpp: the snapshots that are kept for one job, this node's own and copies of others'. What is where, and what
// goes. Any thread; no call waits for more than the list itself.
//
// A snapshot is put up unchecked, so that its place is taken and whatever ends it (a newer one there, `drop_older`) can
// end it while it is still being summed; it counts from `publish` on. Readers hold a snapshot by pointer: dropping it
// from the shelf takes nothing away from a transfer under way.
#pragma once

#include "agent/snapshots/kept_snapshot.hpp"
#include "api/job_spec.hpp"

#include <mutex>
#include <vector>

namespace regroup {

// `safe` as it came with a snapshot of `step`. A step cannot be safe before its own snapshot is taken: one that claims
// so speaks of a history that was rolled back, and ends nothing.
constexpr Step believable(Step safe, Step step) { return safe < step ? safe : Step(-1); }

class Shelf {
 public:
  explicit Shelf(const JobSpec& job);

  [[nodiscard]] const JobSpec& job() const { return job_; }
  [[nodiscard]] const std::vector<std::int64_t>& block_elements() const { return block_elements_; }  // [unit]

  void put_up(const SnapshotPtr& snapshot);  // ends what its maker had in that place
  // false: it was ended meanwhile. Replaces the same maker's earlier one of the same step.
  bool publish(const SnapshotPtr& snapshot);
  [[nodiscard]] bool holds(const SnapshotPtr& snapshot) const;
  // The complete one that this maker took of that step, in that epoch and place, with these entries; null: there is
  // none.
  [[nodiscard]] SnapshotPtr taken_before(const KeptSnapshot& like) const;
  void drop(const SnapshotPtr& snapshot);
  void drop_older(Step safe);
  void close();  // the job is over here: all go, and nothing more is taken
  [[nodiscard]] bool closed() const;

  [[nodiscard]] std::vector<SnapshotPtr> complete() const;  // newest first
  [[nodiscard]] std::vector<SnapshotPtr> complete_of(Step step) const;

 private:
  struct Place {
    SnapshotPtr snapshot;
    bool complete = false;
  };
  template <class Which>
  void end(const Which& which);

  const JobSpec job_;
  std::vector<std::int64_t> block_elements_;
  mutable std::mutex mutex_;
  std::vector<Place> places_;
  bool closed_ = false;
};

}  // namespace regroup
