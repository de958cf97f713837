// snapshot_schedule.hpp: which steps are snapshotted, decided alike by every member of an epoch from what their votes
// say. Pure.
//
// One snapshot is under way at a time. Each vote says what became of it at this member; when it is safe everywhere it
// is the one to keep, when one member had to leave it out nobody waits for it, and the next due step begins another. So
// a step that counts as safe is one that every member took.
#pragma once

#include "base/ids.hpp"

namespace regroup {

class SnapshotSchedule {
 public:
  explicit SnapshotSchedule(int every_steps) : every_(every_steps) {}

  // A new epoch: whatever was under way is forgotten, and nothing is safe in it yet.
  void enter() { under_way_ = safe_ = Step(-1); }

  // Every so many steps, and as soon as possible in an epoch that has none yet.
  [[nodiscard]] bool due(Step step) const {
    return every_ > 0 && under_way_.value < 0 && (step.value % every_ == 0 || safe_.value < 0);
  }
  // Every member calls it for a due step, and for one that goes to disk.
  void begin(Step step) {
    under_way_ = step;
    mine_ = Mine::kTaken;
  }
  void left_out() { mine_ = Mine::kLeftOut; }
  void safe_here() { mine_ = Mine::kSafe; }

  // For the next vote.
  [[nodiscard]] std::int64_t word() const {
    if (under_way_.value < 0 || mine_ == Mine::kTaken) return safe_.value;
    return mine_ == Mine::kSafe ? under_way_.value : kLeftOut;
  }
  // The least word of a complete vote.
  void heard(std::int64_t least) {
    if (under_way_.value >= 0 && least == under_way_.value) safe_ = under_way_;
    if (under_way_.value >= 0 && (least == under_way_.value || least == kLeftOut)) under_way_ = Step(-1);
  }

  [[nodiscard]] Step under_way() const { return under_way_; }  // -1: none
  [[nodiscard]] Step safe() const { return safe_; }            // of this epoch; -1: none yet

 private:
  enum class Mine { kTaken, kLeftOut, kSafe };
  static constexpr std::int64_t kLeftOut = -2;
  int every_;
  Step under_way_{-1}, safe_{-1};
  Mine mine_ = Mine::kTaken;
};

}  // namespace regroup
