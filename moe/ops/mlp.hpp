// mlp.hpp: a layer without experts: x + down(silu(gate y) * (up y)), y = rms_norm(x). Forward and backward; runs on the
// token's rank.
#pragma once

#include "moe/ops/expert.hpp"
#include "moe/ops/weights.hpp"

namespace regroup::ops {

struct MlpSaved {
  at::Tensor x;     // [N, hidden]
  at::Tensor rstd;  // [N]
  ExpertSaved inner;
};

// x [N, hidden] after attention -> [N, hidden].
at::Tensor mlp_forward(const DenseWeights& weights, const at::Tensor& x, const Dims& dims, MlpSaved& saved);

// dout [N, hidden] -> dx. Writes post_norm and mlp of the leaf, whatever was there. Drops `saved`.
at::Tensor mlp_backward(const DenseWeights& weights, const at::Tensor& dout, MlpSaved& saved, DenseWeights& leaf);

}  // namespace regroup::ops
