// shelf.hpp: the list of snapshots that this node keeps for one job: its own workers' and copies of other nodes'.
//
// A snapshot goes through two stages. put_up: it is on the list, but its checksums are still being computed, so it is
// not offered to anybody. publish: it is complete. It is on the list from the start so that whatever replaces it (a
// newer snapshot of the same worker in the same slot, drop_older) can remove it while it is being summed; publish then
// says false. Readers hold a snapshot by pointer: removing it from the list does not disturb a transfer under way.
//
// Threads: any; no call waits for more than the list's lock.
#pragma once

#include "agent/snapshots/kept_snapshot.hpp"
#include "api/job_spec.hpp"
#include "base/mutex.hpp"

#include <vector>

namespace regroup::agent {

// `safe` as it came with a snapshot of `step`. Only earlier steps can be safe when a snapshot is taken. A `safe` at or
// after `step` dates from before a rollback: it is ignored (-1).
constexpr Step believable(Step safe, Step step) { return safe < step ? safe : Step(-1); }

class Shelf {
 public:
  explicit Shelf(const JobSpec& job);

  [[nodiscard]] const JobSpec& job() const { return job_; }
  [[nodiscard]] const std::vector<std::int64_t>& block_elements() const { return block_elements_; }  // [unit]

  void put_up(const SnapshotPtr& snapshot);  // removes what its worker had in that place
  // false: it was removed meanwhile. Replaces the same worker's earlier one of the same step.
  bool publish(const SnapshotPtr& snapshot);
  [[nodiscard]] bool holds(const SnapshotPtr& snapshot) const;
  // The complete one that the same worker took of the same step, in the same epoch and place, with the same entries;
  // null: there is none.
  [[nodiscard]] SnapshotPtr taken_before(const KeptSnapshot& like) const;
  void drop(const SnapshotPtr& snapshot);
  void drop_older(Step safe);
  void close();  // this node no longer works for the job: all are removed, and nothing more is taken
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
  mutable Mutex mutex_;
  std::vector<Place> places_ REGROUP_GUARDED_BY(mutex_);
  bool closed_ REGROUP_GUARDED_BY(mutex_) = false;
};

}  // namespace regroup::agent
