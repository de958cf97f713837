#include "layout/interval.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace regroup {

IntervalSet::IntervalSet(std::initializer_list<Interval> intervals) {
  for (const Interval& interval : intervals) add(interval);
}

void IntervalSet::add(Interval interval) {
  CHECK(interval.lo <= interval.hi, "interval", interval.lo, interval.hi);
  if (interval.lo == interval.hi) return;
  // [first, last): everything that overlaps or touches the new one.
  const auto first = std::lower_bound(intervals_.begin(), intervals_.end(), interval.lo,
                                      [](const Interval& a, int lo) { return a.hi < lo; });
  const auto last =
      std::upper_bound(first, intervals_.end(), interval.hi, [](int hi, const Interval& a) { return hi < a.lo; });
  if (first == last) {
    intervals_.insert(first, interval);
    return;
  }
  first->lo = std::min(first->lo, interval.lo);
  first->hi = std::max(std::prev(last)->hi, interval.hi);
  intervals_.erase(std::next(first), last);
}

int IntervalSet::size() const {
  int blocks = 0;
  for (const Interval& interval : intervals_) blocks += interval.size();
  return blocks;
}

bool IntervalSet::contains(Interval interval) const {
  if (interval.lo >= interval.hi) return true;
  const auto after = std::upper_bound(intervals_.begin(), intervals_.end(), interval.lo,
                                      [](int lo, const Interval& a) { return lo < a.lo; });
  return after != intervals_.begin() && std::prev(after)->hi >= interval.hi;
}

IntervalSet IntervalSet::intersect(const IntervalSet& other) const {
  IntervalSet out;
  auto a = intervals_.begin();
  auto b = other.intervals_.begin();
  while (a != intervals_.end() && b != other.intervals_.end()) {
    const Interval common{std::max(a->lo, b->lo), std::min(a->hi, b->hi)};
    // neighbours never touch: each input is already joined
    if (common.lo < common.hi) out.intervals_.push_back(common);
    if (a->hi < b->hi) {
      ++a;
    } else {
      ++b;
    }
  }
  return out;
}

IntervalSet IntervalSet::subtract(const IntervalSet& other) const {
  IntervalSet out;
  auto hole = other.intervals_.begin();
  for (Interval rest : intervals_) {
    while (hole != other.intervals_.end() && hole->hi <= rest.lo) ++hole;
    for (auto h = hole; h != other.intervals_.end() && h->lo < rest.hi; ++h) {
      if (h->lo > rest.lo) out.intervals_.push_back({rest.lo, h->lo});
      rest.lo = std::max(rest.lo, h->hi);
    }
    if (rest.lo < rest.hi) out.intervals_.push_back(rest);
  }
  return out;
}

IntervalSet IntervalSet::unite(const IntervalSet& other) const {
  IntervalSet out = *this;
  for (const Interval& interval : other.intervals_) out.add(interval);
  return out;
}

}  // namespace regroup
