// interval.hpp: sorted lists of half-open intervals of blocks. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace regroup {

struct Interval {
  int lo = 0;
  int hi = 0;  // exclusive
  [[nodiscard]] int size() const { return hi - lo; }
  friend auto operator<=>(const Interval&, const Interval&) = default;
};

// Keeps: intervals ascending, not empty, not touching each other.
class IntervalSet {
 public:
  IntervalSet() = default;
  IntervalSet(std::initializer_list<Interval> intervals);
  void add(Interval interval);
  [[nodiscard]] const std::vector<Interval>& intervals() const& { return intervals_; }
  // so that a loop over a temporary is safe
  [[nodiscard]] std::vector<Interval> intervals() && { return std::move(intervals_); }
  [[nodiscard]] bool empty() const { return intervals_.empty(); }
  [[nodiscard]] int size() const;  // blocks in all
  [[nodiscard]] bool contains(Interval interval) const;
  [[nodiscard]] IntervalSet intersect(const IntervalSet& other) const;
  [[nodiscard]] IntervalSet subtract(const IntervalSet& other) const;
  [[nodiscard]] IntervalSet unite(const IntervalSet& other) const;
  friend auto operator<=>(const IntervalSet&, const IntervalSet&) = default;

 private:
  std::vector<Interval> intervals_;
};

}  // namespace regroup
