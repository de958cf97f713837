// kernels.hpp: elementwise and row-wise passes over plain fp32 memory, fused by hand. Inside moe/train/ops only; no ATen.
//
// Matrices are row-major and dense unless a stride is named. Each row's result depends on that row alone; sums over rows run in ascending row.
#pragma once

#include <cstdint>

namespace regroup::ops {

// y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps). x, y [n, h]; rstd [n].
void rms_norm_rows(const float* x, const float* weight, float* y, float* rstd, std::int64_t n, std::int64_t h, float eps);
// dx = residual + d(rms_norm)/dx applied to dy; dweight [h] written. residual may be null, and may be dx.
void rms_norm_rows_backward(const float* dy, const float* x, const float* weight, const float* rstd, const float* residual, float* dx, float* dweight,
                            std::int64_t n, std::int64_t h);

// Rotates `heads` heads of each row in place, halves against each other; row t of the tables serves rows t, t + length, ... sign -1 turns back.
void rotate_rows(float* x, std::int64_t stride, const float* cos, const float* sin, std::int64_t n, std::int64_t length, std::int64_t heads,
                 std::int64_t head_dim, float sign);

// hidden [n, 2 f] = (a | b): act = silu(a) * b.
void swiglu_rows(const float* hidden, float* act, std::int64_t n, std::int64_t f);
// Also makes act again. dhidden [n, 2 f].
void swiglu_rows_backward(const float* hidden, const float* dact, float* act, float* dhidden, std::int64_t n, std::int64_t f);

// probs = softmax(logits) for each of n rows of e.
void softmax_rows(const float* logits, float* probs, std::int64_t n, std::int64_t e);
// The k largest of each row, equal ones in ascending index, then listed in ascending index: expert and renormalised weight [n, k].
void top_k_rows(const float* probs, std::int64_t* expert, float* weight, std::int64_t n, std::int64_t e, std::int64_t k);
// dlogits of softmax, top-k and renormalisation: dweight [n, k]; aux [e] or null is added to each row's gradient of the probabilities.
void router_rows_backward(const float* probs, const std::int64_t* expert, const float* weight, const float* dweight, const float* aux, float* dlogits,
                          std::int64_t n, std::int64_t e, std::int64_t k);

// out[i] = x[index[i]], rows of h.
void gather_rows(const float* x, const std::int64_t* index, float* out, std::int64_t n, std::int64_t h);
// out[i] = base[i] + sum_j weight[i, j] * y[index[i, j]]; weight null: ones.
void combine_rows(const float* base, const float* y, const std::int64_t* index, const float* weight, float* out, std::int64_t n, std::int64_t k, std::int64_t h);
// dy[index[i, j]] = weight[i, j] * dout[i]; dweight[i, j] = dot(dout[i], y[index[i, j]]).
void combine_rows_backward(const float* dout, const float* y, const std::int64_t* index, const float* weight, float* dy, float* dweight, std::int64_t n,
                           std::int64_t k, std::int64_t h);

// Cross-entropy of n rows of v logits: the sum of the losses; target -1: no loss. `gradient`: logits become the gradient of that sum.
double cross_entropy_rows(float* logits, const std::int64_t* targets, std::int64_t n, std::int64_t v, bool gradient);

// A tile of attention: query row i of `rows` (`heads` such blocks below each other) sees keys [first(i), i + visible) of `keys`, where
// first(i) = max(0, i + visible - window). Scores outside become 0.
struct Tile {
  std::int64_t heads = 0;
  std::int64_t rows = 0;
  std::int64_t keys = 0;     // row stride of the scores
  std::int64_t visible = 0;  // keys that row 0 sees without a window
  std::int64_t window = 0;
};
// scores become exp(score - max); lse[head * lse_stride + i] = log of their sum + max; inverse_sum [heads * rows].
void attend_tile(const Tile& tile, float* scores, float* lse, std::int64_t lse_stride, float* inverse_sum);
// scores become probabilities P = exp(score - lse); dscores, holding dP, becomes P * (dP - delta) * factor. delta [heads * rows].
void attend_tile_backward(const Tile& tile, float* scores, float* dscores, const float* lse, std::int64_t lse_stride, const float* delta, float factor);
// to[head * rows + i] = from[i * from_stride + head * head_dim] * (factor ? factor[head * rows + i] : 1), and back.
void stack_heads(const float* from, std::int64_t from_stride, float* to, std::int64_t heads, std::int64_t rows, std::int64_t head_dim);
void unstack_heads(const float* from, const float* factor, float* to, std::int64_t to_stride, std::int64_t heads, std::int64_t rows, std::int64_t head_dim);
// out[i] = dot of rows i of a and b, [n, h] both.
void dot_rows(const float* a, const float* b, float* out, std::int64_t n, std::int64_t h);

}  // namespace regroup::ops
