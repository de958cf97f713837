#include "moe/ops/kernels.hpp"
#include "moe/ops/softmax_row.hpp"

#include <algorithm>
#include <cmath>

namespace regroup::ops {

REGROUP_CLONES void softmax_rows(const float* logits, float* probs, float* lse, std::int64_t n, std::int64_t e) {
  for (std::int64_t row = 0; row < n; ++row) {
    float* out = probs + row * e;
    const float top = largest_of(logits + row * e, e);
    const float total = exp_row(logits + row * e, top, out, e);
    for (std::int64_t i = 0; i < e; ++i) out[i] /= total;
    lse[row] = static_cast<float>(static_cast<double>(top) + std::log(static_cast<double>(total)));
  }
}

void top_k_rows(const float* probs, std::int64_t* expert, float* weight, std::int64_t n, std::int64_t e, std::int64_t k,
                bool normalise) {
  for (std::int64_t row = 0; row < n; ++row) {
    const float* p = probs + row * e;
    std::int64_t* chosen = expert + row * k;
    for (std::int64_t i = 0; i < k; ++i) {
      std::int64_t best = -1;
      for (std::int64_t j = 0; j < e; ++j)
        if ((best < 0 || p[j] > p[best]) && std::find(chosen, chosen + i, j) == chosen + i) best = j;
      chosen[i] = best;
    }
    std::sort(chosen, chosen + k);
    float total = 0;
    for (std::int64_t i = 0; i < k; ++i) total += p[chosen[i]];
    for (std::int64_t i = 0; i < k; ++i) weight[row * k + i] = normalise ? p[chosen[i]] / total : p[chosen[i]];
  }
}

// w_i = p_i / S over the chosen, so dp_i = (dw_i - sum_j dw_j w_j) / S; softmax: dlogit = p (dp - sum p dp).
void router_rows_backward(const float* probs, const std::int64_t* expert, const float* weight, const float* dweight,
                          const float* aux, float* dlogits, std::int64_t n, std::int64_t e, std::int64_t k,
                          bool normalise) {
  for (std::int64_t row = 0; row < n; ++row) {
    const float* p = probs + row * e;
    float* dp = dlogits + row * e;
    float total = 0;
    float mean = 0;
    for (std::int64_t i = row * k; i < (row + 1) * k; ++i) {
      total += p[expert[i]];
      mean += dweight[i] * weight[i];
    }
    for (std::int64_t j = 0; j < e; ++j) dp[j] = aux != nullptr ? aux[j] : 0.0f;
    for (std::int64_t i = row * k; i < (row + 1) * k; ++i)
      dp[expert[i]] += normalise ? (dweight[i] - mean) / total : dweight[i];
    float projection = 0;
    for (std::int64_t j = 0; j < e; ++j) projection += p[j] * dp[j];
    for (std::int64_t j = 0; j < e; ++j) dp[j] = p[j] * (dp[j] - projection);
  }
}

void add_z_rows(const float* probs, const float* lse, float scale, float* dlogits, std::int64_t n, std::int64_t e) {
  for (std::int64_t row = 0; row < n; ++row)
    for (std::int64_t i = row * e; i < (row + 1) * e; ++i) dlogits[i] += scale * lse[row] * probs[i];
}

namespace {

// `p` is one row of logits in fp32 and becomes the loss's gradient. -> the loss.
REGROUP_INLINE double cross_entropy(float* p, std::int64_t target, std::int64_t v, bool gradient) {
  const float top = largest_of(p, v);
  const float wanted = p[target];
  const float total = exp_row(p, top, p, v);
  if (gradient) {
    const float inverse = 1.0f / total;
    for_each_16(
        v, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) { st(p + j, ld(p + j) * inverse); });
    p[target] -= 1.0f;
  }
  return std::log(static_cast<double>(total)) + (static_cast<double>(top) - static_cast<double>(wanted));
}

}  // namespace

REGROUP_CLONES double cross_entropy_rows(float* logits, const std::int64_t* targets, std::int64_t n, std::int64_t v,
                                         bool gradient, float*) {
  double loss = 0;
  for (std::int64_t row = 0; row < n; ++row) {
    float* p = logits + row * v;
    if (targets[row] >= 0)
      loss += cross_entropy(p, targets[row], v, gradient);
    else if (gradient)
      std::fill(p, p + v, 0.0f);
  }
  return loss;
}

REGROUP_CLONES double cross_entropy_rows(bf16* logits, const std::int64_t* targets, std::int64_t n, std::int64_t v,
                                         bool gradient, float* row_buffer) {
  double loss = 0;
  for (std::int64_t row = 0; row < n; ++row) {
    bf16* p = logits + row * v;
    if (targets[row] >= 0) {
      for_each_16(
          v, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) { st(row_buffer + j, ld(p + j)); });
      loss += cross_entropy(row_buffer, targets[row], v, gradient);
      if (gradient)
        for_each_16(
            v, [&](std::int64_t j, auto ld, auto st) __attribute__((always_inline)) { st(p + j, ld(row_buffer + j)); });
    } else if (gradient) {
      std::fill(p, p + v, bf16{0});
    }
  }
  return loss;
}

}  // namespace regroup::ops
