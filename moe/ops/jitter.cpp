#include "moe/ops/jitter.hpp"

#include "base/random.hpp"

namespace regroup::ops {

Jitter jitter_of(double noise, std::uint64_t seed, std::int64_t step, std::int64_t microbatch, std::int64_t layer) {
  std::uint64_t key = random_key(seed, "router_jitter");
  for (const std::int64_t index : {step, microbatch, layer}) key = random_key(key, static_cast<std::uint64_t>(index));
  return {noise, key};
}

namespace {

template <class T>
void multiply_each(const Jitter& jitter, T* x, std::int64_t n) {
  if (jitter.noise == 0) return;
  const auto low = static_cast<float>(1 - jitter.noise);
  const auto range = static_cast<float>(2 * jitter.noise);
  const auto multiply = [&](T& element, std::uint64_t bits24) {
    element = rounded_to<T>(to_float(element) * (low + range * (static_cast<float>(bits24) * 0x1.0p-24f)));
  };
  for (std::int64_t i = 0; i < n; i += 2) {
    // two elements' worth: 24 bits each
    const std::uint64_t bits = random_bits(jitter.key, static_cast<std::uint64_t>(i / 2));
    multiply(x[i], bits >> 40);
    if (i + 1 < n) multiply(x[i + 1], bits & 0xFFFFFFu);
  }
}

}  // namespace

void jitter(const Jitter& jitter, float* x, std::int64_t n) { multiply_each(jitter, x, n); }
void jitter(const Jitter& jitter, bf16* x, std::int64_t n) { multiply_each(jitter, x, n); }

}  // namespace regroup::ops
