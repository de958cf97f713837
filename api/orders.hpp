// orders.hpp: what is computed has a number. Workers say both in their fingerprint, and a checkpoint keeps them: one
// of another number goes on with other bits, and is refused unless the job allows mixed fingerprints.
#pragma once

namespace regroup {

// Which sample stands at which number: raised when moe/data draws samples in another order.
inline constexpr int kSampleOrder = 2;
// In which order sums are added, and in what precision: raised when a step of the same samples gives other bits.
inline constexpr int kSums = 1;

}  // namespace regroup
