// kernels.hpp: elementwise and row-wise passes over plain memory, fused by hand. Inside moe/ops only; no ATen.
//
// Activations are fp32 or bf16; a pass computes in fp32 and rounds each result once. Matrices are row-major and dense
// unless a stride is named. Each row's result depends on that row alone; sums over rows run in ascending row.
#pragma once

#include "moe/ops/bf16.hpp"

#include <cstdint>

namespace regroup::ops {

// y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps). x, y [n, h]; rstd [n].
void rms_norm_rows(const float* x, const float* weight, float* y, float* rstd, std::int64_t n, std::int64_t h,
                   float eps);
void rms_norm_rows(const bf16* x, const float* weight, bf16* y, float* rstd, std::int64_t n, std::int64_t h, float eps);
// dx = residual + d(rms_norm)/dx applied to dy; dweight [h] written. residual may be null, and may be dx.
void rms_norm_rows_backward(const float* dy, const float* x, const float* weight, const float* rstd,
                            const float* residual, float* dx, float* dweight, std::int64_t n, std::int64_t h);
void rms_norm_rows_backward(const bf16* dy, const bf16* x, const float* weight, const float* rstd, const bf16* residual,
                            bf16* dx, float* dweight, std::int64_t n, std::int64_t h);
void rms_norm_rows_backward(const float* dy, const bf16* x, const float* weight, const float* rstd,
                            const bf16* residual, bf16* dx, float* dweight, std::int64_t n, std::int64_t h);

// Rotates `heads` heads of each row in place, halves against each other; row t of the tables serves rows t, t + length,
// ... sign -1 turns back.
void rotate_rows(float* x, std::int64_t stride, const float* cos, const float* sin, std::int64_t n, std::int64_t length,
                 std::int64_t heads, std::int64_t head_dim, float sign);
void rotate_rows(bf16* x, std::int64_t stride, const float* cos, const float* sin, std::int64_t n, std::int64_t length,
                 std::int64_t heads, std::int64_t head_dim, float sign);

// hidden [n, 2 f] = (a | b): act = silu(a) * b.
void swiglu_rows(const float* hidden, float* act, std::int64_t n, std::int64_t f);
void swiglu_rows(const bf16* hidden, bf16* act, std::int64_t n, std::int64_t f);
// Also makes act again. dhidden [n, 2 f].
void swiglu_rows_backward(const float* hidden, const float* dact, float* act, float* dhidden, std::int64_t n,
                          std::int64_t f);
void swiglu_rows_backward(const bf16* hidden, const bf16* dact, bf16* act, bf16* dhidden, std::int64_t n,
                          std::int64_t f);

// y [n] += each of the `slices` arrays of n that lie one behind the other in `more`, in their order.
void add_slices(float* y, const float* more, std::int64_t slices, std::int64_t n);
void add_slices(bf16* y, const bf16* more, std::int64_t slices, std::int64_t n);

// probs = softmax(logits) for each of n rows of e; lse [n] = log(sum(exp(logits))).
void softmax_rows(const float* logits, float* probs, float* lse, std::int64_t n, std::int64_t e);
// The k largest of each row, equal ones in ascending index, then listed in ascending index: expert and weight [n, k],
// `normalise`: divided by their sum.
void top_k_rows(const float* probs, std::int64_t* expert, float* weight, std::int64_t n, std::int64_t e, std::int64_t k,
                bool normalise = true);
// dlogits of softmax, top-k and, if asked for, renormalisation: dweight [n, k]; aux [e] or null is added to each row's
// gradient of the probabilities.
void router_rows_backward(const float* probs, const std::int64_t* expert, const float* weight, const float* dweight,
                          const float* aux, float* dlogits, std::int64_t n, std::int64_t e, std::int64_t k,
                          bool normalise = true);
// dlogits += scale * lse * probs: the gradient of scale / 2 * lse^2 of each row.
void add_z_rows(const float* probs, const float* lse, float scale, float* dlogits, std::int64_t n, std::int64_t e);

// out[i] = x[index[i]], rows of that many bytes.
void gather_rows(const void* x, const std::int64_t* index, void* out, std::int64_t n, std::int64_t row_bytes);
// out[i] = base[i] + sum_j weight[i, j] * y[index[i, j]]; weight null: ones.
void combine_rows(const float* base, const float* y, const std::int64_t* index, const float* weight, float* out,
                  std::int64_t n, std::int64_t k, std::int64_t h);
void combine_rows(const bf16* base, const bf16* y, const std::int64_t* index, const float* weight, bf16* out,
                  std::int64_t n, std::int64_t k, std::int64_t h);
void combine_rows(const float* base, const bf16* y, const std::int64_t* index, const float* weight, float* out,
                  std::int64_t n, std::int64_t k, std::int64_t h);
// dy[index[i, j]] = weight[i, j] * dout[i]; dweight[i, j] = dot(dout[i], y[index[i, j]]).
void combine_rows_backward(const float* dout, const float* y, const std::int64_t* index, const float* weight, float* dy,
                           float* dweight, std::int64_t n, std::int64_t k, std::int64_t h);
void combine_rows_backward(const bf16* dout, const bf16* y, const std::int64_t* index, const float* weight, bf16* dy,
                           float* dweight, std::int64_t n, std::int64_t k, std::int64_t h);

// Cross-entropy of n rows of v logits: the sum of the losses; target -1: no loss. `gradient`: logits become the
// gradient of that sum. `row_buffer` [v]: for bf16 logits, whose row is made fp32 first.
double cross_entropy_rows(float* logits, const std::int64_t* targets, std::int64_t n, std::int64_t v, bool gradient,
                          float* row_buffer);
double cross_entropy_rows(bf16* logits, const std::int64_t* targets, std::int64_t n, std::int64_t v, bool gradient,
                          float* row_buffer);

// Small products for attention's core, on panels: a matrix cut into groups of kPanel columns, each group dense [rows,
// kPanel], the last one filled up with zeros. Each element is one chain of fused multiply-adds in ascending k.
inline constexpr std::int64_t kPanel = 32;
// c [m, kPanel] (+)= a [m, k] b [k, kPanel]; a's element (i, j) is a[i * row_stride + j * k_stride]; c's rows are ldc
// apart.
void multiply_panel(const float* a, std::int64_t row_stride, std::int64_t k_stride, const float* b, float* c,
                    std::int64_t ldc, std::int64_t m, std::int64_t k, bool accumulate);
// from [rows, columns] with that row stride to panels; and back, times row_factor [rows] or, where that is null,
// factor.
void pack_panels(const float* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns);
void pack_panels(const bf16* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns);
void unpack_panels(const float* from, float* to, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                   const float* row_factor, float factor);
void unpack_panels(const float* from, bf16* to, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                   const float* row_factor, float factor);
// The panels of from transposed: groups of kPanel *rows*, each [columns, kPanel].
void pack_transposed_panels(const float* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns);
void pack_transposed_panels(const bf16* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns);
// to [rows, columns], dense, = from, with that row stride, times factor.
void widen_rows(const float* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns,
                float factor);
void widen_rows(const bf16* from, std::int64_t stride, float* to, std::int64_t rows, std::int64_t columns,
                float factor);

// A tile of attention: query row i of `rows` sees keys [max(0, i + visible - window), i + visible). Scores further than
// kTileSlack from those are neither read nor written; the nearer ones become 0.
inline constexpr std::int64_t kTileSlack = 16;
struct Tile {
  std::int64_t rows = 0;
  std::int64_t stride = 0;   // of a row of scores
  std::int64_t visible = 0;  // keys that row 0 sees without a window
  std::int64_t window = 0;
  [[nodiscard]] std::int64_t end(std::int64_t row) const { return row + visible; }
  [[nodiscard]] std::int64_t begin(std::int64_t row) const {
    return row + visible > window ? row + visible - window : 0;
  }
};
// scores become exp(score - max); lse [rows] = log of their sum + max; inverse_sum [rows].
void attend_tile(const Tile& tile, float* scores, float* lse, float* inverse_sum);
// scores become probabilities P = exp(score - lse); dscores, holding dP, becomes P * (dP - delta). delta [rows].
void attend_tile_backward(const Tile& tile, float* scores, float* dscores, const float* lse, const float* delta);
// out[i] = dot of rows i of a and b, each [n, h] with that stride.
void dot_rows(const float* a, const float* b, std::int64_t stride, float* out, std::int64_t n, std::int64_t h);
void dot_rows(const bf16* a, const bf16* b, std::int64_t stride, float* out, std::int64_t n, std::int64_t h);

}  // namespace regroup::ops
