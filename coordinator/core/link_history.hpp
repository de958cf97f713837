// link_history.hpp: connections between two living workers that broke and came back, of one job. Pure.
//
// One such break costs a retry and nobody. A pair whose connection breaks again and again would cost a retry each time,
// for ever; so at some point one of the two has to go.
#pragma once

#include "base/ids.hpp"
#include "base/now.hpp"

#include <utility>
#include <vector>

namespace regroup::coordinator {

using BrokenLink = std::pair<WorkerId, WorkerId>;  // the smaller id first

class LinkHistory {
 public:
  // A break was reported in this epoch; all reports of a pair in one epoch are one.
  void broke(const BrokenLink& link, Epoch epoch, Instant now);
  // The members of that epoch have committed a step: what broke before is forgiven, but for the count of 5 minutes.
  void committed(Epoch epoch);
  // It broke in an earlier epoch, too, without a commit between; or for the tenth time in 5 minutes.
  [[nodiscard]] bool is_hopeless(const BrokenLink& link, Epoch epoch, Instant now) const;

 private:
  struct Break {
    BrokenLink link;
    Epoch epoch;
    Instant at{};
    bool forgiven = false;
  };
  std::vector<Break> breaks_;
};

}  // namespace regroup::coordinator
