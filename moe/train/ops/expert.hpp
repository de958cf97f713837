// expert.hpp: one segment through one expert (or slice): w2(silu(w1 x) * (w3 x)). One GEMM call a product, whatever else is computed.
#pragma once

#include "moe/train/ops/weights.hpp"

namespace regroup::ops {

struct ExpertSaved {
  at::Tensor rows;    // [n, hidden]
  at::Tensor hidden;  // [n, 2 f]: w1 x and w3 x side by side
};

// rows [n, hidden] (copied first if they do not start on 64 bytes) -> [n, hidden]. n = 0 gives an empty tensor.
// `out`, if defined, is [n, hidden] contiguous and receives the result (a part of a larger row buffer); bits are the same.
at::Tensor expert_forward(const ExpertWeights& weights, const at::Tensor& rows, ExpertSaved& saved, at::Tensor out = {});

// dy [n, hidden] -> gradient of the rows. Weight gradients are added in place (beta = 1) to the accumulator's views, in the order of
// calls; n = 0 touches nothing. Drops `saved`.
at::Tensor expert_backward(const ExpertWeights& weights, const at::Tensor& dy, ExpertSaved& saved, ExpertWeights& accumulator, at::Tensor out = {});

}  // namespace regroup::ops
