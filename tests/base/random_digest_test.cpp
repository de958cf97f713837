#include "base/digest.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace regroup {
namespace {

// Frozen: initial weights and data order of every job depend on these.
TEST(Random, philox_gives_the_published_vector) {
  // Random123's known answer for philox4x32-10: counter 0, key 0 -> 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
  EXPECT_EQ(random_bits(0, 0), 0xe169c58d6627e8d5u);
}

TEST(Random, normals_match_the_quantile_function) {
  // Mean, variance, tails of a million draws.
  const std::uint64_t key = random_key(1, "test");
  constexpr int kDraws = 1000000;
  double sum = 0, squares = 0;
  int beyond3 = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random_normal(key, static_cast<std::uint64_t>(i));
    sum += x;
    squares += x * x;
    beyond3 += std::fabs(x) > 3;
    if (i < 1000) {
      EXPECT_NEAR(0.5 * std::erfc(-x / std::sqrt(2.0)), random_uniform(key, static_cast<std::uint64_t>(i)), 1e-14);
    }
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.005);
  EXPECT_NEAR(squares / kDraws, 1, 0.007);
  EXPECT_NEAR(beyond3, 2700, 250);
}

TEST(Random, keys_of_other_purposes_differ) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t seed = 0; seed < 100; ++seed)
    for (const char* purpose : {"", "a", "b", "ab"}) keys.insert(random_key(seed, purpose));
  EXPECT_EQ(keys.size(), 400u);
  EXPECT_NE(random_key(1, std::uint64_t{2}), random_key(2, std::uint64_t{1}));
}

TEST(Digest, sha256_of_abc_is_the_published_one) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 pieces;
  pieces.update("a", 1);
  pieces.update("bc", 2);
  EXPECT_EQ(pieces.finish(), sha256_hex("abc"));
}

TEST(Digest, of_weights_ignores_the_order_of_lines_only) {
  const float data[] = {1, 2, 3, 4, 5, 6};
  const std::string a = tensor_line("a.weight", {2, 3}, data);
  EXPECT_EQ(a, "a.weight F32 [2,3] " + sha256_hex(data, sizeof data));
  const std::string b = tensor_line("b.weight", {6}, data);
  EXPECT_EQ(weights_digest({a, b}), weights_digest({b, a}));
  EXPECT_EQ(weights_digest({a, b}), sha256_hex(a + "\n" + b + "\n"));
  EXPECT_NE(weights_digest({a, b}), weights_digest({tensor_line("a.weight", {3, 2}, data), b}));
}

}  // namespace
}  // namespace regroup
