#include "moe/ops/owner_update.hpp"

#include "base/check.hpp"
#include "base/random.hpp"
#include "moe/ops/vec16.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace regroup::ops {

REGROUP_CLONES void add(float* acc, const float* leaf, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) acc[i] += leaf[i];
}

REGROUP_CLONES void add(float* acc, const bf16* leaf, std::int64_t n) {
  for_each_16(
      n, [&](std::int64_t i, auto ld, auto st)
             __attribute__((always_inline)) { st(acc + i, ld(acc + i) + ld(leaf + i)); });
}

REGROUP_CLONES double squared_norm(const float* x, std::int64_t n) {
  REGROUP_CHECK(n % kLanes == 0, "n", n);
  f64x4 squares[4] = {};  // of lanes 4 p to 4 p + 3
  for (std::int64_t i = 0; i < n; i += kLanes) {
    for (int p = 0; p < 4; ++p) {
      const f64x4 v = __builtin_convertvector(load_as<f32x4>(x + i + 4 * p), f64x4);
      squares[p] += v * v;
    }
  }
  const f64x4 joined = (squares[0] + squares[2]) + (squares[1] + squares[3]);
  return (joined[0] + joined[2]) + (joined[1] + joined[3]);
}

double clip_factor(double clip_norm, double norm) {
  return clip_norm > 0 ? std::min(1.0, clip_norm / (norm + 1e-6)) : 1.0;
}

AdamStep adam_step(const OptimizerSpec& optimizer, std::int64_t step, double learning_rate, double grad_scale,
                   bool decays) {
  REGROUP_CHECK(step >= 1, "step", step);
  AdamStep s;
  s.learning_rate = static_cast<float>(learning_rate);
  s.beta1 = static_cast<float>(optimizer.beta1);
  s.beta2 = static_cast<float>(optimizer.beta2);
  s.fresh1 = static_cast<float>(1 - optimizer.beta1);
  s.fresh2 = static_cast<float>(1 - optimizer.beta2);
  s.epsilon = static_cast<float>(optimizer.epsilon);
  s.weight_decay = decays ? static_cast<float>(optimizer.weight_decay) : 0.0f;
  // Powers by multiplication: libm's pow may differ between CPUs.
  double power1 = 1;
  double power2 = 1;
  double base1 = optimizer.beta1;
  double base2 = optimizer.beta2;
  for (std::int64_t rest = step; rest > 0; rest >>= 1) {
    if (rest & 1) {
      power1 *= base1;
      power2 *= base2;
    }
    base1 *= base1;
    base2 *= base2;
  }
  s.bias1 = static_cast<float>(1 - power1);
  s.bias2_sqrt = static_cast<float>(std::sqrt(1 - power2));
  s.grad_scale = static_cast<float>(grad_scale);
  return s;
}

// Only operations that IEEE 754 rounds exactly: a vector lane and a scalar tail give the same bits.
REGROUP_CLONES void adamw(float* __restrict master, float* __restrict moment1, float* __restrict moment2,
                          const float* __restrict grad, std::int64_t n, const AdamStep& step) {
  const float keep = 1.0f - step.learning_rate * step.weight_decay;
  const float rate = step.learning_rate / step.bias1;
  const float beta1 = step.beta1, beta2 = step.beta2, fresh1 = step.fresh1, fresh2 = step.fresh2;
  const float inverse_bias2 = 1.0f / step.bias2_sqrt, epsilon = step.epsilon, grad_scale = step.grad_scale;
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = grad[i] * grad_scale;
    const float m = moment1[i] * beta1 + g * fresh1;
    const float v = moment2[i] * beta2 + g * g * fresh2;
    moment1[i] = m;
    moment2[i] = v;
    master[i] = master[i] * keep - rate * (m / (std::sqrt(v) * inverse_bias2 + epsilon));
  }
}

namespace {

// f(tensor, lo, hi): the elements [lo, hi) of the unit that lie in both the tensor and the blocks.
template <class F>
void for_each_tensor(const Unit& unit, Interval blocks, F&& f) {
  REGROUP_CHECK(0 <= blocks.lo && blocks.lo <= blocks.hi && blocks.hi <= kBlocksPerUnit, "blocks", blocks.lo,
                blocks.hi);
  const std::int64_t first = blocks.lo * unit.block_elements;
  const std::int64_t end = blocks.hi * unit.block_elements;
  for (const TensorSpec& tensor : unit.tensors) {
    const std::int64_t lo = std::max(first, tensor.offset);
    const std::int64_t hi = std::min(end, tensor.offset + tensor.numel);
    if (lo < hi) f(tensor, lo, hi);
  }
}

}  // namespace

void adamw_blocks(const Unit& unit, Interval blocks, float* master, float* moment1, float* moment2, const float* grad,
                  const OptimizerSpec& optimizer, std::int64_t step, double learning_rate, double grad_scale) {
  const AdamStep with = adam_step(optimizer, step, learning_rate, grad_scale, true);
  const AdamStep without = adam_step(optimizer, step, learning_rate, grad_scale, false);
  for_each_tensor(unit, blocks, [&](const TensorSpec& tensor, std::int64_t lo, std::int64_t hi) {
    const std::int64_t at = lo - blocks.lo * unit.block_elements;
    adamw(master + at, moment1 + at, moment2 + at, grad + at, hi - lo, tensor.decays ? with : without);
  });
}

namespace {

REGROUP_CLONES void round_to(bf16* to, const float* from, std::int64_t n) {
  for_each_16(
      n, [&](std::int64_t i, auto ld, auto st) __attribute__((always_inline)) { st(to + i, ld(from + i)); });
}

}  // namespace

void compute_weights(const Unit& unit, const ComputeForm& form, Interval blocks, const float* master, std::byte* base) {
  for_each_tensor(unit, blocks, [&](const TensorSpec& tensor, std::int64_t lo, std::int64_t hi) {
    const ComputeForm::Spot& spot = form.spots()[static_cast<std::size_t>(&tensor - unit.tensors.data())];
    const float* from = master + (lo - blocks.lo * unit.block_elements);
    std::byte* to = base + form.byte_of(lo);
    if (spot.bf16)
      round_to(reinterpret_cast<bf16*>(to), from, hi - lo);
    else
      std::memcpy(to, from, static_cast<std::size_t>(hi - lo) * sizeof(float));
  });
}

void init_blocks(const Unit& unit, Interval blocks, const ModelShape& shape, std::uint64_t seed, float* out) {
  std::fill(out, out + blocks.size() * unit.block_elements, 0.0f);
  for_each_tensor(unit, blocks, [&](const TensorSpec& tensor, std::int64_t lo, std::int64_t hi) {
    float* to = out + (lo - blocks.lo * unit.block_elements);
    const bool is_norm = tensor.shape.size() == 1;
    const std::uint64_t key = random_key(seed, "init/" + tensor.name);
    for (std::int64_t i = lo; i < hi; ++i)
      *to++ = is_norm ? 1.0f
                      : static_cast<float>(
                            shape.initializer_range *
                            random_normal(key, static_cast<std::uint64_t>(tensor.whole.element(i - tensor.offset))));
  });
}

namespace {

// cos(pi x) for x in [0, 1], as sin(pi (1/2 - x)) by its series: the same bits on every machine, which libm's is not.
double cos_pi(double x) {
  const double y = 3.14159265358979323846 * (0.5 - x);
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = 1 - y * y / ((k + 1) * (k + 2)) * sum;
  return y * sum;
}

}  // namespace

double learning_rate(const OptimizerSpec& optimizer, std::int64_t step, std::int64_t total_steps) {
  if (step <= optimizer.warmup_steps)
    return optimizer.learning_rate * static_cast<double>(step) / optimizer.warmup_steps;
  const double span = static_cast<double>(std::max<std::int64_t>(1, total_steps - optimizer.warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step - optimizer.warmup_steps) / span);
  const double range = optimizer.learning_rate - optimizer.min_learning_rate;
  switch (optimizer.schedule) {
    case ScheduleKind::kConstant:
      return optimizer.learning_rate;
    case ScheduleKind::kLinear:
      return optimizer.min_learning_rate + range * (1 - done);
    case ScheduleKind::kCosine:
      return optimizer.min_learning_rate + range * 0.5 * (1 + cos_pi(done));
    case ScheduleKind::kWsd: {
      const auto left = static_cast<double>(std::clamp<std::int64_t>(total_steps - step, 0, optimizer.decay_steps));
      return optimizer.min_learning_rate + range * (left / static_cast<double>(optimizer.decay_steps));
    }
  }
  return optimizer.learning_rate;
}

}  // namespace regroup::ops
