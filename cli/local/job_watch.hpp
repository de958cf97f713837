// job_watch.hpp: the newest status and outcome of one job in etcd, kept up to date by a watch. Any thread.
#pragma once

#include "api/job_status.hpp"
#include "api/keys.hpp"
#include "api/records.hpp"
#include "base/mutex.hpp"
#include "store/store.hpp"

#include <functional>
#include <memory>
#include <string>

namespace regroup::cli {

class JobWatch {
 public:
  // `on_change` is called after either has changed, on a thread of the store.
  JobWatch(Store& store, const Keys& keys, const std::string& job, std::function<void()> on_change);
  [[nodiscard]] JobStatus status() const;
  [[nodiscard]] JobOutcome outcome() const;  // unknown: not over

 private:
  std::string status_key_, outcome_key_;
  mutable Mutex mutex_;
  JobStatus status_ REGROUP_GUARDED_BY(mutex_);
  JobOutcome outcome_ REGROUP_GUARDED_BY(mutex_);
  std::unique_ptr<Watch> watch_;  // last: ends first
};

}  // namespace regroup::cli
