// jitter.hpp: router_jitter_noise: the input of router and experts times uniform [1 - noise, 1 + noise), in training
// alone. The same bits on every layout: element i of a microbatch's layer is a function of (key, i), and the key of
// (seed, step, microbatch, layer). Made again in the backward, never stored.
#pragma once

#include "moe/ops/bf16.hpp"

#include <cstdint>

namespace regroup::ops {

struct Jitter {
  double noise = 0.0;  // 0: none
  std::uint64_t key = 0;
};

Jitter jitter_of(double noise, std::uint64_t seed, std::int64_t step, std::int64_t microbatch, std::int64_t layer);

// x[i] *= factor i, in fp32 and rounded once. Nothing without noise.
void jitter(const Jitter& jitter, float* x, std::int64_t n);
void jitter(const Jitter& jitter, bf16* x, std::int64_t n);

}  // namespace regroup::ops
