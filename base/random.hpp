// random.hpp: counter-based random numbers: a value is a pure function of (key, counter), on every machine. Never a
// state. Any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace regroup {

// A key of its own for each purpose: random_key(seed, "init/model.norm.weight"). Frozen: initial weights depend on it.
std::uint64_t random_key(std::uint64_t seed, std::string_view purpose);
std::uint64_t random_key(std::uint64_t key, std::uint64_t index);  // derive: per step, per layer …

std::uint64_t random_bits(std::uint64_t key, std::uint64_t counter);  // Philox4x32-10, 64 of its bits
double random_uniform(std::uint64_t key, std::uint64_t counter);      // in (0, 1), both ends out
// mean 0, variance 1; +, -, *, / and sqrt in fp64 only, so the same bits everywhere
double random_normal(std::uint64_t key, std::uint64_t counter);

}  // namespace regroup
