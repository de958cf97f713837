#include "moe/train/ops/head.hpp"

#include "base/check.hpp"
#include "moe/train/ops/gemm.hpp"
#include "moe/train/ops/kernels.hpp"
#include "moe/train/ops/typed.hpp"

#include <algorithm>

namespace regroup::ops {

namespace {

template <class T>
HeadResult run(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims, HeadWeights* leaf) {
  const std::int64_t n = x.size(0);
  const std::int64_t h = x.size(1);
  const std::int64_t v = weights.lm_head.size(0);
  const std::int64_t* ids = targets.data_ptr<std::int64_t>();
  HeadResult result;
  for (std::int64_t i = 0; i < n; ++i) {
    REGROUP_CHECK(-1 <= ids[i] && ids[i] < v, "target", ids[i], "at position", i, "vocabulary", v);
    result.num_targets += ids[i] >= 0;
  }
  const at::Tensor normed = empty({n, h}, x.scalar_type());
  const at::Tensor rstd = empty({n});
  rms_norm_rows(data<T>(x), data<float>(weights.norm), data<T>(normed), data<float>(rstd), n, h, static_cast<float>(dims.shape.rms_norm_eps));
  const at::Tensor logits = empty({std::min(n, kHeadRows), v}, x.scalar_type());
  const at::Tensor row_buffer = empty({v});
  const at::Tensor dnormed = leaf != nullptr ? empty({n, h}, x.scalar_type()) : at::Tensor();
  for (std::int64_t row = 0; row < n; row += kHeadRows) {
    const std::int64_t rows = std::min(kHeadRows, n - row);
    const at::Tensor piece = normed.narrow(0, row, rows);
    const at::Tensor scores = logits.narrow(0, 0, rows);
    multiply(scores, piece, weights.lm_head.t());
    result.loss_sum += cross_entropy_rows(data<T>(scores), ids + row, rows, v, leaf != nullptr, data<float>(row_buffer));
    if (leaf == nullptr) continue;
    multiply(dnormed.narrow(0, row, rows), scores, weights.lm_head);
    multiply_gradient(leaf->lm_head, scores.t(), piece, row != 0);
  }
  if (leaf != nullptr) {
    rms_norm_rows_backward(data<T>(dnormed), data<T>(x), data<float>(weights.norm), data<float>(rstd), nullptr, data<T>(dnormed), data<float>(leaf->norm), n, h);
    result.dx = dnormed;
  }
  return result;
}

}  // namespace

HeadResult head_forward_backward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims, HeadWeights& leaf) {
  return by_type(x, [&]<class T>() { return run<T>(weights, x, targets, dims, &leaf); });
}

HeadResult head_forward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims) {
  return by_type(x, [&]<class T>() { return run<T>(weights, x, targets, dims, nullptr); });
}

}  // namespace regroup::ops
