#include "layout/interval.hpp"

#include <gtest/gtest.h>

#include <random>

namespace regroup {
namespace {

constexpr int kBlocks = 6;

// Every subset of [0, kBlocks) as a bit mask.
IntervalSet from_bits(unsigned bits) {
  IntervalSet out;
  for (int b = 0; b < kBlocks; ++b) {
    if (bits >> b & 1) out.add({b, b + 1});
  }
  return out;
}

unsigned to_bits(const IntervalSet& set) {
  unsigned bits = 0;
  int last = -1;
  for (const Interval& interval : set.intervals()) {
    EXPECT_LT(interval.lo, interval.hi);
    EXPECT_GT(interval.lo, last) << "intervals touch or are not ascending";
    last = interval.hi;
    for (int b = interval.lo; b < interval.hi; ++b) bits |= 1u << b;
  }
  return bits;
}

TEST(IntervalSet, set_algebra_agrees_with_bits_for_every_pair_of_small_sets) {
  for (unsigned a = 0; a < 1u << kBlocks; ++a) {
    for (unsigned b = 0; b < 1u << kBlocks; ++b) {
      const IntervalSet x = from_bits(a);
      const IntervalSet y = from_bits(b);
      ASSERT_EQ(to_bits(x.unite(y)), a | b);
      ASSERT_EQ(to_bits(x.intersect(y)), a & b);
      ASSERT_EQ(to_bits(x.subtract(y)), a & ~b);
      ASSERT_EQ(x == y, a == b);
    }
  }
}

TEST(IntervalSet, contains_and_size_agree_with_bits) {
  for (unsigned a = 0; a < 1u << kBlocks; ++a) {
    const IntervalSet x = from_bits(a);
    ASSERT_EQ(x.size(), __builtin_popcount(a));
    for (int lo = 0; lo <= kBlocks; ++lo) {
      for (int hi = lo; hi <= kBlocks; ++hi) {
        const unsigned mask = ((1u << hi) - 1) & ~((1u << lo) - 1);
        ASSERT_EQ(x.contains({lo, hi}), (a & mask) == mask) << a << " [" << lo << ", " << hi << ")";
      }
    }
  }
}

TEST(IntervalSet, adding_in_any_order_gives_the_same_set) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    unsigned expected = 0;
    IntervalSet set;
    for (int i = 0; i < 4; ++i) {
      const int lo = static_cast<int>(random() % (kBlocks + 1));
      const int hi = lo + static_cast<int>(random() % (kBlocks + 1 - lo));
      set.add({lo, hi});
      expected |= ((1u << hi) - 1) & ~((1u << lo) - 1);
    }
    ASSERT_EQ(to_bits(set), expected);
  }
}

}  // namespace
}  // namespace regroup
