#include "moe/data/mixture.hpp"

#include "base/check.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace regroup {
namespace {

constexpr std::int64_t kWhole = std::int64_t{1} << 30;
constexpr std::int64_t kSmallest = kWhole >> 16;

// round(k * share / whole), halves up; taken apart so that no product outgrows 64 bits.
std::int64_t drawn(std::int64_t k, std::int64_t share, std::int64_t whole) {
  return k / whole * share + (2 * (k % whole) * share + whole) / (2 * whole);
}

}  // namespace

// Largest remainders: the shares add up to the whole and each is its exact one rounded up or down.
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
    const double exact = weight / sum * static_cast<double>(kWhole);
    mixture.shares_.push_back(static_cast<std::int64_t>(exact));
    remainders.push_back(exact - std::floor(exact));
  }
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  std::int64_t left = kWhole - std::accumulate(mixture.shares_.begin(), mixture.shares_.end(), std::int64_t{0});
  for (std::size_t i = 0; left > 0; i = (i + 1) % order.size(), --left) ++mixture.shares_[order[i]];
  mixture.bounds_.push_back(0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (mixture.shares_[i] < kSmallest)
      return Error{Code::kBadInput, "weight " + std::to_string(i) + " is " + std::to_string(weights[i]) + " of " +
                                        std::to_string(sum) + ", less than 1 / 65536 of the whole"};
    mixture.bounds_.push_back(mixture.bounds_.back() + mixture.shares_[i]);
  }
  return mixture;
}

Mixture::Place Mixture::place(std::int64_t sample) const {
  CHECK(sample >= 0, "sample", sample);
  std::size_t first = 0, last = shares_.size();
  while (last - first > 1) {
    const std::size_t middle = (first + last) / 2;
    const std::int64_t share = bounds_[middle] - bounds_[first], whole = bounds_[last] - bounds_[first];
    const std::int64_t before = drawn(sample, share, whole);
    if (drawn(sample + 1, share, whole) > before) {
      last = middle;
      sample = before;
    } else {
      first = middle;
      sample -= before;
    }
  }
  return {static_cast<int>(first), sample};
}

}  // namespace regroup
