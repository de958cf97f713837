// job_watch.hpp: what etcd says about one job, kept by a watch. Any thread.
#pragma once

#include "coordinator/api/job_status.hpp"
#include "coordinator/api/keys.hpp"
#include "coordinator/api/records.hpp"
#include "coordinator/api/store.hpp"

#include <memory>
#include <mutex>
#include <string>

namespace regroup {

class JobWatch {
 public:
  JobWatch(Store& store, const Keys& keys, const std::string& job);
  [[nodiscard]] JobStatus status() const;
  [[nodiscard]] JobOutcome outcome() const;   // state "" = not over

 private:
  std::string status_key_, outcome_key_;
  mutable std::mutex mutex_;
  JobStatus status_;
  JobOutcome outcome_;
  std::unique_ptr<Watch> watch_;   // last: ends first
};

}  // namespace regroup
