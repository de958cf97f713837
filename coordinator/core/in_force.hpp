// in_force.hpp: whether the members of a job's plan train in it yet, and since when we know. Pure.
//
// Publishing a plan changes nothing yet: its members must connect, agree on a step and fetch their shards, and only
// then is the state where the plan says. Until then the plan before it describes who holds what. Nearly every decision
// asks which of the two is true, so the rule stands here alone.
//
// Rule: an epoch is reached when a worker's record says "training" in it (a worker says so when all members hold their
// state, not it alone), or when progress of it is reported (a step was committed, which takes every member's vote).
//
// Complications. Records are overwritten: the worker that trained in epoch 5 fails, and its record says so instead.
// What was reached stays reached, so this remembers the highest epoch. News may come late and out of order between
// nodes, so a lower epoch changes nothing. When the job's plan is removed the epochs begin anew, and all is forgotten.
#pragma once

#include "api/records.hpp"
#include "base/ids.hpp"
#include "base/now.hpp"

namespace regroup::coordinator {

// Of one job.
class InForce {
 public:
  // A record of one of the job's workers, or of the job's progress, has come: feed every one, in etcd's order.
  void hear(const WorkerRecord& worker, const Now& now);
  void hear(const ProgressRecord& progress, const Now& now);
  // The job's plan is gone.
  void forget_epoch() { epoch_ = Epoch{}; }

  // The members of the plan with this epoch, or of a later one, hold their state.
  [[nodiscard]] bool has_reached(Epoch epoch) const { return epoch_ >= epoch; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }    // the highest that was reached; 0 before the first
  [[nodiscard]] Instant since() const { return since_; }  // when we first heard of it

 private:
  void reach(Epoch epoch, const Now& now);

  Epoch epoch_;
  Instant since_{};
};

}  // namespace regroup::coordinator
