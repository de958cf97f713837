#include "cli/local/job_watch.hpp"

namespace regroup {

JobWatch::JobWatch(Store& store, const Keys& keys, const std::string& job) : status_key_(keys.status(job)), outcome_key_(keys.outcome(job)) {
  watch_ = store.watch(keys.job(job), [this](const WatchUpdate& update) {
    const std::lock_guard lock(mutex_);
    for (const auto& event : update.events) {
      if (event.kind != WatchEvent::Kind::kPut) continue;
      if (event.kv.key == status_key_) {
        if (auto status = job_status_from_json(event.kv.value)) status_ = *status;
      } else if (event.kv.key == outcome_key_) {
        if (auto outcome = job_outcome_from_json(event.kv.value)) outcome_ = *outcome;
      }
    }
  });
}

JobStatus JobWatch::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

JobOutcome JobWatch::outcome() const {
  const std::lock_guard lock(mutex_);
  return outcome_;
}

}  // namespace regroup
