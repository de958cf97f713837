#include "moe/ops/head.hpp"

#include "base/check.hpp"
#include "layout/head_pieces.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/typed.hpp"

#include <algorithm>

namespace regroup::ops {

namespace {

// out [v, h] = or += scores^T rows. A bf16 product is made before it joins the sum: of so many words at a time.
void add_gradient(const at::Tensor& out, const at::Tensor& scores, const at::Tensor& rows, bool add) {
  const std::int64_t v = out.size(0);
  const std::int64_t piece = out.scalar_type() == scores.scalar_type() ? v : head_gradient_words(out.size(1));
  for (std::int64_t word = 0; word < v; word += piece) {
    const std::int64_t words = std::min(piece, v - word);
    multiply_gradient(out.narrow(0, word, words), scores.t().narrow(0, word, words), rows, add);
  }
}

template <class T>
HeadResult run(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims,
               HeadWeights* leaf) {
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
  rms_norm_rows(data<T>(x), data<float>(weights.norm), data<T>(normed), data<float>(rstd), n, h,
                static_cast<float>(dims.shape.rms_norm_eps));
  const std::int64_t piece_rows = std::min(n, head_rows(v, dims.precision));
  const at::Tensor logits = empty({piece_rows, v}, x.scalar_type());
  const at::Tensor row_buffer = empty({v});
  const at::Tensor dnormed = leaf != nullptr ? empty({n, h}, x.scalar_type()) : at::Tensor();
  for (std::int64_t row = 0; row < n; row += piece_rows) {
    const std::int64_t rows = std::min(piece_rows, n - row);
    const at::Tensor piece = normed.narrow(0, row, rows);
    const at::Tensor scores = logits.narrow(0, 0, rows);
    multiply(scores, piece, weights.lm_head.t());
    result.loss_sum +=
        cross_entropy_rows(data<T>(scores), ids + row, rows, v, leaf != nullptr, data<float>(row_buffer));
    if (leaf == nullptr) continue;
    multiply(dnormed.narrow(0, row, rows), scores, weights.lm_head);
    add_gradient(leaf->lm_head, scores, piece, row != 0);
  }
  if (leaf != nullptr) {
    rms_norm_rows_backward(data<T>(dnormed), data<T>(x), data<float>(weights.norm), data<float>(rstd), nullptr,
                           data<T>(dnormed), data<float>(leaf->norm), n, h);
    result.dx = dnormed;
  }
  return result;
}

}  // namespace

HeadResult head_forward_backward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets,
                                 const Dims& dims, HeadWeights& leaf) {
  return by_type(x, [&]<class T>() { return run<T>(weights, x, targets, dims, &leaf); });
}

HeadResult head_forward(const HeadWeights& weights, const at::Tensor& x, const at::Tensor& targets, const Dims& dims) {
  return by_type(x, [&]<class T>() { return run<T>(weights, x, targets, dims, nullptr); });
}

}  // namespace regroup::ops
