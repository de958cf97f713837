#include "moe/train/ops/mlp.hpp"

#include "moe/train/ops/gemm.hpp"
#include "moe/train/ops/kernels.hpp"
#include "moe/train/ops/state.hpp"

#include <cstring>

namespace regroup::ops {

at::Tensor mlp_forward(const DenseWeights& weights, const at::Tensor& x, const Dims& dims, MlpSaved& saved) {
  saved.x = x;
  saved.rstd = empty({x.size(0)});
  const at::Tensor normed = empty(x.sizes());
  rms_norm_rows(x.data_ptr<float>(), weights.post_norm.data_ptr<float>(), normed.data_ptr<float>(), saved.rstd.data_ptr<float>(), x.size(0), x.size(1), static_cast<float>(dims.shape.rms_norm_eps));
  const at::Tensor out = expert_forward(weights.mlp, normed, saved.inner);
  add(out.data_ptr<float>(), x.data_ptr<float>(), out.numel());
  return out;
}

at::Tensor mlp_backward(const DenseWeights& weights, const at::Tensor& dout, MlpSaved& saved, DenseWeights& leaf) {
  // expert_backward adds to what is there.
  for (const at::Tensor& matrix : {leaf.mlp.w1, leaf.mlp.w3, leaf.mlp.w2}) std::memset(matrix.data_ptr<float>(), 0, static_cast<std::size_t>(matrix.numel()) * sizeof(float));
  const at::Tensor dnormed = expert_backward(weights.mlp, dout, saved.inner, leaf.mlp);
  at::Tensor dx = empty(dout.sizes());
  rms_norm_rows_backward(dnormed.data_ptr<float>(), saved.x.data_ptr<float>(), weights.post_norm.data_ptr<float>(), saved.rstd.data_ptr<float>(), dout.data_ptr<float>(), dx.data_ptr<float>(),
                         leaf.post_norm.data_ptr<float>(), dout.size(0), dout.size(1));
  saved = {};
  return dx;
}

}  // namespace regroup::ops
