// mixture.hpp: which set a sample of a mixed data set comes from, and how many samples came from it before. Pure;
// frozen: a job that goes on must see the same samples.
//
// The list of sets is halved again and again. Of the first k samples of a list, round(k * share) come from its first
// half, the others from its second half: so each half is drawn evenly, and the k-th draw of a set is the k-th number of
// that set, without gap or repeat. Any run of samples holds each set's share to within 1 for two sets, 2 for four,
// 4 for a hundred.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace regroup {

class Mixture {
 public:
  // kBadInput: a weight that is not above 0, or a share below 1 / 65,536.
  static Result<Mixture> make(std::span<const double> weights);

  struct Place {
    int source = 0;
    std::int64_t sample = 0;  // of the source: 0, 1, 2, ... as the mixture's samples go on
    friend bool operator==(const Place&, const Place&) = default;
  };
  [[nodiscard]] Place place(std::int64_t sample) const;  // sample >= 0
  // Of each set, in 2^30ths; they add up.
  [[nodiscard]] const std::vector<std::int64_t>& shares() const { return shares_; }

 private:
  std::vector<std::int64_t> shares_;
  std::vector<std::int64_t> bounds_;  // of the first i sets together
};

}  // namespace regroup
