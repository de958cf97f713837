// head.hpp: final norm, logits and cross-entropy in pieces of rows (layout/head_pieces.hpp), so that the logits of a
// large vocabulary never exist at once: besides activations of x's size a call takes no more than two pieces of at most
// 64 MiB, and one row in fp32.
#pragma once

#include "moe/ops/weights.hpp"

namespace regroup::ops {

struct HeadResult {
  double loss_sum = 0.0;  // sum of the token losses
  std::int64_t num_targets = 0;
  at::Tensor dx;  // [N, hidden]: gradient of loss_sum; undefined from head_forward
};

// x [N, hidden]; targets int64 [N] in [0, vocab), or -1 where there is none (CHECK). Writes (beta = 0) norm and lm_head
// of the leaf.
HeadResult head_forward_backward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets,
                                 const Dims& dims, HeadWeights& leaf);

// The loss alone, the same bits: for validation.
HeadResult head_forward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims);

}  // namespace regroup::ops
