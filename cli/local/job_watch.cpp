#include "cli/local/job_watch.hpp"

#include <utility>

namespace regroup::cli {

JobWatch::JobWatch(Store& store, const Keys& keys, const std::string& job, std::function<void()> on_change)
    : status_key_(keys.status(job)), outcome_key_(keys.outcome(job)) {
  watch_ = store.watch(keys.job(job), [this, on_change = std::move(on_change)](const WatchUpdate& update) {
    bool changed = false;
    for (const auto& event : update.events) {
      if (event.kind != WatchEvent::Kind::kPut || (event.kv.key != status_key_ && event.kv.key != outcome_key_))
        continue;
      const LockGuard lock(mutex_);
      changed = true;
      if (event.kv.key == status_key_) {
        if (auto status = job_status_from_json(event.kv.value)) status_ = *status;
      } else if (auto outcome = job_outcome_from_json(event.kv.value)) {
        outcome_ = *outcome;
      }
    }
    if (changed) on_change();
  });
}

JobStatus JobWatch::status() const {
  const LockGuard lock(mutex_);
  return status_;
}

JobOutcome JobWatch::outcome() const {
  const LockGuard lock(mutex_);
  return outcome_;
}

}  // namespace regroup::cli
