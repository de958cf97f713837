// mixture.hpp: which set a sample of a mixed data set comes from, and which sample of that set it is. Pure; frozen: a
// job that goes on must see the same samples.
//
// The sample numbers are cut into periods of 65,536, in each of which set i has counts()[i] places, in proportion to
// the weights. Within a period the places are visited in van der Corput's order (bits reversed), shifted by a number
// that depends on (seed, period): of any 2^m numbers that begin at a multiple of 2^m, each set has its share to
// within 2. Every set's own samples come without gap or repeat: period p holds its samples [p * count, (p + 1) *
// count).
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace regroup {

inline constexpr int kMixPeriodBits = 16;

class Mixture {
 public:
  // kBadInput: a weight that is not above 0, or a share below 1 / 65,536.
  static Result<Mixture> make(std::span<const double> weights);

  struct Place {
    int source = 0;
    std::int64_t sample = 0;  // of the source
    friend bool operator==(const Place&, const Place&) = default;
  };
  [[nodiscard]] Place place(std::int64_t sample, std::uint64_t seed) const;  // sample >= 0
  [[nodiscard]] const std::vector<std::int64_t>& counts() const { return counts_; }

 private:
  std::vector<std::int64_t> counts_;
};

}  // namespace regroup
