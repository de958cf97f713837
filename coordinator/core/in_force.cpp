#include "coordinator/core/in_force.hpp"

namespace regroup::coordinator {

void InForce::hear(const WorkerRecord& worker, const Now& now) {
  if (worker.state == WorkerState::kTraining) reach(worker.epoch, now);
}

void InForce::hear(const ProgressRecord& progress, const Now& now) { reach(progress.epoch, now); }

void InForce::reach(Epoch epoch, const Now& now) {
  if (epoch <= epoch_) return;
  epoch_ = epoch;
  since_ = now.at;
}

}  // namespace regroup::coordinator
