// load_mean.hpp: how many tokens of a step each expert gets, as a mean over eight steps, and when that is news. Pure.
//
// What routers do is no matter of who computes it: the eight steps before are remembered over epochs, but those that
// are told lie within one. Within an epoch it is news when a twentieth of the tokens go to other experts than the
// record says, in the last eight steps or in those before.
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
  // The record that is to be written now, if one is. At most one in `every`.
  [[nodiscard]] std::optional<LoadRecord> news(Instant now, Span every);

 private:
  std::vector<std::int64_t> sum_;  // of the steps counted
  int counted_ = 0;                // up to eight, of epoch_
  Epoch epoch_;
  LoadRecord newest_;  // without loads: none yet
  std::optional<LoadRecord> told_;
  Instant told_at_{};
};

}  // namespace regroup::agent
