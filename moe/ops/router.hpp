// router.hpp: which experts a token goes to, with what weight; rows out, rows back; the load-balancing loss.
//
// A microbatch's routed rows are numbered by (expert ascending, token ascending): expert e's rows are
// [first_row(e), first_row(e) + counts[e]), one segment, one GEMM call. K = num_experts_per_tok, E = num_local_experts,
// N = tokens. Everything here runs on the token's rank.
#pragma once

#include "moe/ops/jitter.hpp"
#include "moe/ops/weights.hpp"

namespace regroup::ops {

struct Routing {
  at::Tensor normed;                        // [N, hidden]: the experts' input, before the gather
  at::Tensor weight;                        // [N, K] fp32, renormalised if norm_topk_prob, in ascending expert id
  at::Tensor expert;                        // [N, K] int64, ascending
  at::Tensor token_row;                     // [N, K] int64: the token's rows, in ascending expert id
  at::Tensor row_token;                     // [N * K] int64: the token of each row
  std::vector<std::int64_t> counts;         // [E] rows of each expert
  [[nodiscard]] std::int64_t rows() const;  // N * K
  [[nodiscard]] std::int64_t first_row(int expert_id) const;
};

struct RouterSaved {
  at::Tensor x;      // [N, hidden]
  at::Tensor rstd;   // [N]
  at::Tensor probs;  // [N, E] softmax of the logits
  at::Tensor lse;    // [N] log(sum(exp(logits)))
  Jitter jitter;     // of `normed`
  bool norm_topk_prob = true;
};

// The Hugging Face formula over all layers of one microbatch: E * sum_e (rows_e / n) * (prob_sum_e / n), n = layers *
// N. Layers are added in order.
struct AuxStats {
  std::vector<double> prob_sum;      // [E]
  std::vector<std::int64_t> counts;  // [E]
  std::int64_t tokens = 0;           // layers * N so far
  // ST-MoE's router z-loss (arXiv 2202.08906, eq. 5) of each layer, the mean over tokens of log(sum(exp(logits)))^2,
  // added over the layers: as in Megatron-LM, where each layer adds its own.
  double z_loss = 0;
  void add(const RouterSaved& saved, const Routing& routing);
  [[nodiscard]] double loss() const;  // K when perfectly balanced
};
// d(coef * aux * num_targets) / d(prob of expert e), the same for every token of every layer: [E]. Only once all layers
// are added.
std::vector<float> aux_gradient(const AuxStats& stats, double coef, std::int64_t num_targets);
// What d(coef * z_loss * num_targets) / d(logit) is a multiple of, by lse and probability. `tokens` of one layer.
float z_gradient(double coef, std::int64_t num_targets, std::int64_t tokens);

// x [N, hidden] after attention. Norm, logits, softmax over all experts in fp32, top-k (probability descending, ties:
// lower expert id), weights renormalised.
Routing router_forward(const DenseWeights& weights, const at::Tensor& x, const Dims& dims, RouterSaved& saved,
                       const Jitter& noise = {});

// [N * K, hidden]: the experts' input rows in row order.
at::Tensor dispatch_rows(const Routing& routing);

// x + sum over the token's experts, ascending, of weight * y. y_rows [N * K, hidden] in row order.
at::Tensor combine_forward(const at::Tensor& x, const at::Tensor& y_rows, const Routing& routing);

struct CombineGrad {
  at::Tensor dy_rows;  // [N * K, hidden], in row order
  at::Tensor dweight;  // [N, K]
};
CombineGrad combine_backward(const at::Tensor& dout, const at::Tensor& y_rows, const Routing& routing);

// dout [N, hidden]: gradient of combine_forward's result (it also passes the residual); dx_rows [N * K, hidden]: of the
// dispatched rows; aux [E] from aux_gradient, z from z_gradient (empty, 0: no such loss). -> gradient of x. Writes
// (beta = 0) gate and post_norm of the leaf.
at::Tensor router_backward(const DenseWeights& weights, const at::Tensor& dout, const at::Tensor& dx_rows,
                           const at::Tensor& dweight, const std::vector<float>& aux, float z, RouterSaved& saved,
                           const Routing& routing, DenseWeights& leaf);

}  // namespace regroup::ops
