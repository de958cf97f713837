// owner_update.hpp: what owners do to flat fp32 buffers: add gradients, norm, AdamW, initial weights. One thread; no
// ATen.
//
// Each element's result depends on that element alone, and a norm on its block alone: the bits are the same however a
// unit is cut.
#pragma once

#include "api/job_spec.hpp"
#include "layout/compute_form.hpp"
#include "layout/interval.hpp"
#include "layout/units.hpp"
#include "moe/ops/bf16.hpp"

#include <cstddef>
#include <cstdint>

namespace regroup::ops {

// acc[i] += leaf[i].
void add(float* acc, const float* leaf, std::int64_t n);
void add(float* acc, const bf16* leaf, std::int64_t n);

// Sum of squares in fp64 over 16 lanes joined in one order. n is a multiple of 16: call it once a block.
double squared_norm(const float* x, std::int64_t n);

// min(1, clip_norm / (norm + 1e-6)), as torch's clip_grad_norm_; 1 when clip_norm is 0. `norm` is that of the mean
// gradient.
double clip_factor(double clip_norm, double norm);

// The numbers of one update; `weight_decay` is 0 for tensors that do not decay.
struct AdamStep {
  float learning_rate = 0;
  float beta1 = 0;
  float beta2 = 0;
  float fresh1 = 1;  // 1 - beta1, from fp64
  float fresh2 = 1;
  float epsilon = 0;
  float weight_decay = 0;
  float bias1 = 1;       // 1 - beta1^step
  float bias2_sqrt = 1;  // sqrt(1 - beta2^step)
  float grad_scale = 1;  // multiplied into the gradient first: clip factor, and 1 / targets if that was not done before
};
// `step` counts from 1: the number of the step being committed.
AdamStep adam_step(const OptimizerSpec& optimizer, std::int64_t step, double learning_rate, double grad_scale,
                   bool decays);

// Decoupled weight decay, as torch.optim.AdamW. The gradient is read only.
void adamw(float* master, float* moment1, float* moment2, const float* grad, std::int64_t n, const AdamStep& step);

// The same over blocks [blocks.lo, blocks.hi) of a unit, where only what `decays` says decays: buffers start at
// blocks.lo. Padding stays as it is.
void adamw_blocks(const Unit& unit, Interval blocks, float* master, float* moment1, float* moment2, const float* grad,
                  const OptimizerSpec& optimizer, std::int64_t step, double learning_rate, double grad_scale);

// The compute form of blocks [blocks.lo, blocks.hi) of a unit that starts at `base`, from their master weights
// (`master` starts at blocks.lo), rounded to nearest even.
void compute_weights(const Unit& unit, const ComputeForm& form, Interval blocks, const float* master, std::byte* base);

// Initial weights of blocks [blocks.lo, blocks.hi), out[0] being the first element of blocks.lo: normal(0,
// initializer_range) keyed by (seed, Hugging Face tensor, element of it), so the same however many slices an expert
// has; norms 1; padding 0. The moments start at zero: nothing to compute.
void init_blocks(const Unit& unit, Interval blocks, const ModelShape& shape, std::uint64_t seed, float* out);

// Learning rate of the step that is being computed; `step` counts from 1. Linear warm-up, then the schedule
// (ScheduleKind); min_learning_rate beyond total_steps, which is the schedule's end.
double learning_rate(const OptimizerSpec& optimizer, std::int64_t step, std::int64_t total_steps);

}  // namespace regroup::ops
