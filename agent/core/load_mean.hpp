// load_mean.hpp: tokens per expert and step, averaged over windows of eight steps, and when an average is worth a
// record. Pure.
//
// The planner places popular experts by this record. A window never spans two plans: what a plan's first steps say is
// not mixed with the last plan's. The record also holds the window before, and that one may come from an older plan,
// because routing does not depend on where experts lie. A record is written when it is the first of its plan, or when
// in either window at least 5 % of the tokens went to other experts than the last record says.
#pragma once

#include "api/records.hpp"
#include "api/worker_protocol.hpp"
#include "base/now.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace regroup::agent {

class LoadMean {
 public:
  void add(const CommitReport& report);
  // The record to write now, if there is one; at most one in `every`.
  [[nodiscard]] std::optional<LoadRecord> news(Instant now, Span every);

 private:
  std::vector<std::int64_t> sum_;  // of the steps counted
  int counted_ = 0;                // up to eight, of epoch_
  Epoch epoch_;
  LoadRecord newest_;  // of the last full window; without loads: there is none yet
  std::optional<LoadRecord> told_;
  Instant told_at_{};
};

}  // namespace regroup::agent
