// snapshot_schedule.hpp: which steps are snapshotted. Every member decides alike, from the votes that all have. Pure.
//
// At most one snapshot is in flight. In each vote a member reports its state there: in flight, skipped or safe. When
// all report it safe, it becomes the recovery point. When any skipped it, it is abandoned, and the next due step starts
// another. So a step counts as safe only if every member has taken it.
#pragma once

#include "moe/state/snapshot_vote.hpp"

namespace regroup {

class SnapshotSchedule {
 public:
  explicit SnapshotSchedule(int every_steps) : every_(every_steps) {}

  // A new epoch: the snapshot in flight is forgotten, and nothing is safe in it yet.
  void enter() { in_flight_ = safe_ = Step(-1); }

  // Every so many steps, and as soon as possible in an epoch that has none yet.
  [[nodiscard]] bool due(Step step) const {
    return every_ > 0 && in_flight_.value < 0 && (step.value % every_ == 0 || safe_.value < 0);
  }
  // Every member calls it for a due step, and for one that goes to disk.
  void begin(Step step) {
    in_flight_ = step;
    here_ = Here::kInFlight;
  }
  void skipped_here() { here_ = Here::kSkipped; }
  void safe_here() { here_ = Here::kSafe; }

  // For the next vote.
  [[nodiscard]] SnapshotVote vote() const {
    if (in_flight_.value < 0 || here_ == Here::kInFlight) return safe_until(safe_);
    return here_ == Here::kSafe ? safe_until(in_flight_) : SnapshotVote::kSkipped;
  }
  // The least of a complete set of votes.
  void heard(SnapshotVote least) {
    if (in_flight_.value < 0) return;
    const bool safe_everywhere = least == safe_until(in_flight_);
    if (safe_everywhere) safe_ = in_flight_;
    if (safe_everywhere || least == SnapshotVote::kSkipped) in_flight_ = Step(-1);
  }

  [[nodiscard]] Step in_flight() const { return in_flight_; }  // -1: none
  [[nodiscard]] Step safe() const { return safe_; }            // of this epoch; -1: none yet

 private:
  enum class Here { kInFlight, kSkipped, kSafe };  // the snapshot in flight, at this member
  int every_;
  Step in_flight_{-1}, safe_{-1};
  Here here_ = Here::kInFlight;
};

}  // namespace regroup
