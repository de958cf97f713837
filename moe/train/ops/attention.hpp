// attention.hpp: x + o_proj(attention(rms_norm(x))), causal, grouped-query, rotary positions; forward and backward.
//
// Each sequence of the microbatch attends within itself. Scores are made tile by tile (kQueryTile rows, a constant of the job) and
// made again in the backward: memory does not grow with the square of the sequence.
#pragma once

#include "moe/train/ops/qk_norm.hpp"
#include "moe/train/ops/weights.hpp"

namespace regroup::ops {

inline constexpr std::int64_t kQueryTile = 64;

// Rotary tables, fp32: angle(t, j) = t * theta^(-2j / head_dim).
struct Rope {
  at::Tensor cos;  // [sequence_length, head_dim / 2]
  at::Tensor sin;
};
Rope make_rope(const Dims& dims);

// What the backward needs. Lives until attention_backward, which drops what it has used.
struct AttentionSaved {
  at::Tensor x;        // [N, hidden]
  at::Tensor rstd;     // [N]
  at::Tensor normed;   // [N, hidden]
  at::Tensor qkv;      // [N, (heads + 2 kv_heads) * head_dim], after rotation
  at::Tensor context;  // [N, heads * head_dim]
  QkNormSaved qk_norm;
  at::Tensor lse;      // [sequences, heads, sequence_length]: log of the sum of exp of the scaled scores
};

// x [N, hidden] -> [N, hidden].
at::Tensor attention_forward(const DenseWeights& weights, const at::Tensor& x, const Rope& rope, const Dims& dims, AttentionSaved& saved);

// dout [N, hidden] -> dx. Writes (beta = 0) input_norm, q, k, v, o, q_norm and k_norm of the leaf.
at::Tensor attention_backward(const DenseWeights& weights, const at::Tensor& dout, AttentionSaved& saved, const Rope& rope, const Dims& dims,
                              DenseWeights& leaf);

}  // namespace regroup::ops
