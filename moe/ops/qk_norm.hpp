// qk_norm.hpp: RMS norm of queries and keys between their projection and their rotation: each head on its own (Qwen3),
// or all heads as one row (OLMoE).
#pragma once

#include "moe/ops/weights.hpp"

namespace regroup::ops {

// What the backward needs; empty where the family has no such norm.
struct QkNormSaved {
  at::Tensor q, k;            // before the norm: [N * groups, width], groups = heads or 1
  at::Tensor q_rstd, k_rstd;  // [N * groups]
};

// qkv [N, (heads + 2 kv_heads) * head_dim], contiguous: its queries and keys in place. Nothing without weights.q_norm.
void qk_norm_forward(const DenseWeights& weights, const Dims& dims, const at::Tensor& qkv, QkNormSaved& saved);

// dqkv holds the gradient behind the norm and gets the one before it. Writes q_norm and k_norm of the leaf. Drops
// `saved`.
void qk_norm_backward(const DenseWeights& weights, const Dims& dims, const at::Tensor& dqkv, QkNormSaved& saved,
                      DenseWeights& leaf);

}  // namespace regroup::ops
