#include "moe/data/mixture.hpp"

#include "base/check.hpp"
#include "moe/data/mix_bits.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace regroup {
namespace {

constexpr std::int64_t kPeriod = std::int64_t{1} << kMixPeriodBits;

std::uint64_t reversed(std::uint64_t value) {
  std::uint64_t out = 0;
  for (int bit = 0; bit < kMixPeriodBits; ++bit) out |= (value >> bit & 1) << (kMixPeriodBits - 1 - bit);
  return out;
}

}  // namespace

// Largest remainders: the counts add up to the period and each is its exact share rounded up or down.
Result<Mixture> Mixture::make(std::span<const double> weights) {
  double sum = 0;
  for (const double weight : weights) {
    if (!(weight > 0) || !std::isfinite(weight))
      return Error{Code::kBadInput, "a weight must be a number above 0, not " + std::to_string(weight)};
    sum += weight;
  }
  Mixture mixture;
  std::vector<double> remainders;
  for (const double weight : weights) {
    const double exact = weight / sum * static_cast<double>(kPeriod);
    mixture.counts_.push_back(static_cast<std::int64_t>(exact));
    remainders.push_back(exact - std::floor(exact));
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  std::int64_t left = kPeriod - std::accumulate(mixture.counts_.begin(), mixture.counts_.end(), std::int64_t{0});
  for (std::size_t i = 0; left > 0; i = (i + 1) % order.size(), --left) ++mixture.counts_[order[i]];
  for (std::size_t i = 0; i < weights.size(); ++i)
    if (mixture.counts_[i] == 0)
      return Error{Code::kBadInput, "weight " + std::to_string(i) + " is " + std::to_string(weights[i]) + " of " +
                                        std::to_string(sum) + ", less than 1 / " + std::to_string(kPeriod) +
                                        " of the whole"};
  return mixture;
}

Mixture::Place Mixture::place(std::int64_t sample, std::uint64_t seed) const {
  const std::int64_t period = sample / kPeriod;
  const std::uint64_t shift = mix_bits(mix_bits(seed ^ 0x6d6978) + static_cast<std::uint64_t>(period));
  auto at = static_cast<std::int64_t>((reversed(static_cast<std::uint64_t>(sample % kPeriod)) ^ shift) & (kPeriod - 1));
  for (int source = 0; source < static_cast<int>(counts_.size()); ++source) {
    const std::int64_t count = counts_[static_cast<std::size_t>(source)];
    if (at < count) return {source, period * count + at};
    at -= count;
  }
  CHECK(false, "a period's places are not all given", sample);
  return {};
}

}  // namespace regroup
