// head.hpp: final norm, logits and cross-entropy, in pieces of kHeadRows rows (a constant of the job), so that logits never exist at once.
#pragma once

#include "moe/train/ops/weights.hpp"

namespace regroup::ops {

inline constexpr std::int64_t kHeadRows = 256;

struct HeadResult {
  double loss_sum = 0.0;         // sum of the token losses
  std::int64_t num_targets = 0;
  at::Tensor dx;                 // [N, hidden]: gradient of loss_sum; undefined from head_forward
};

// x [N, hidden]; targets int64 [N] in [0, vocab), or -1 where there is none (CHECK). Writes (beta = 0) norm and lm_head of the leaf.
HeadResult head_forward_backward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims, HeadWeights& leaf);

// The loss alone, the same bits: for validation.
HeadResult head_forward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims);

}  // namespace regroup::ops
