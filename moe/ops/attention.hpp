// attention.hpp: x + o_proj(attention(rms_norm(x))), causal, grouped-query, rotary positions; forward and backward.
//
// Each sequence of the microbatch attends within itself, or each document where they are named: its tiles start at its
// own first row, so what lies before it costs nothing and changes none of its sums. Positions count from the sequence's
// start either way: rotated scores depend on distances alone, so restarting them would change rounding only. Memory
// does not grow with the square of the sequence (attend.hpp).
#pragma once

#include "moe/ops/qk_norm.hpp"
#include "moe/ops/weights.hpp"

#include <cstdint>
#include <vector>

namespace regroup::ops {

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
  at::Tensor lse;  // [N * heads], of each document [heads, its length]: log of the sum of exp of the scaled scores
  std::vector<std::int64_t> documents;
};

// x [N, hidden] -> [N, hidden]. documents: tokens of each in the order of rows, none across two sequences; empty: every
// sequence is one.
at::Tensor attention_forward(const DenseWeights& weights, const at::Tensor& x, const Rope& rope, const Dims& dims,
                             AttentionSaved& saved, const std::vector<std::int64_t>& documents = {});

// dout [N, hidden] -> dx. Writes (beta = 0) input_norm, q, k, v, o, q_norm and k_norm of the leaf.
at::Tensor attention_backward(const DenseWeights& weights, const at::Tensor& dout, AttentionSaved& saved,
                              const Rope& rope, const Dims& dims, DenseWeights& leaf);

}  // namespace regroup::ops
