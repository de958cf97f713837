// source_watch.hpp: whether a checkpoint may be there by now that was lacking when the members last settled.
//
// Storage that was not mounted, or answered with an error, is back at some moment, and nobody tells the worker. So it
// looks. What it can see cheaply is which checkpoint is the newest, and not whether all of its bytes can be read: where
// that has not changed since an attempt failed, another attempt is made later and later, up to a minute apart.
#pragma once

#include "api/job_spec.hpp"
#include "base/now.hpp"

#include <string>
#include <utility>

namespace regroup {

class SourceWatch {
 public:
  SourceWatch(const JobSpec& job, std::string fingerprint) : job_(job), fingerprint_(std::move(fingerprint)) {}

  // An attempt found no complete source.
  void lacked();
  // One succeeded.
  void forget() { attempts_ = 0; }
  // Reads the directory. True: try again. Where nothing was lacked since the last success it is false.
  [[nodiscard]] bool may_be_there() const;

 private:
  [[nodiscard]] std::string newest() const;  // its path; empty: none can be seen

  const JobSpec& job_;
  const std::string fingerprint_;
  std::string seen_;  // when it was lacked last
  Clock::time_point at_{};
  int attempts_ = 0;  // in a row
};

}  // namespace regroup
