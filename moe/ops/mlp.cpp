#include "moe/ops/mlp.hpp"

#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/typed.hpp"

#include <cstring>

namespace regroup::ops {

at::Tensor mlp_forward(const DenseWeights& weights, const at::Tensor& x, const Dims& dims, MlpSaved& saved) {
  saved.x = x;
  saved.rstd = empty({x.size(0)});
  const at::Tensor normed = empty(x.sizes(), x.scalar_type());
  by_type(x, [&]<class T>() {
    rms_norm_rows(data<T>(x), data<float>(weights.post_norm), data<T>(normed), data<float>(saved.rstd), x.size(0),
                  x.size(1), static_cast<float>(dims.shape.rms_norm_eps));
  });
  at::Tensor out = expert_forward(weights.mlp, normed, saved.inner);
  out.add_(x);
  return out;
}

at::Tensor mlp_backward(const DenseWeights& weights, const at::Tensor& dout, MlpSaved& saved, DenseWeights& leaf) {
  // expert_backward adds to what is there.
  for (const at::Tensor& matrix : {leaf.mlp.w1, leaf.mlp.w3, leaf.mlp.w2})
    std::memset(matrix.data_ptr<float>(), 0, static_cast<std::size_t>(matrix.numel()) * sizeof(float));
  const at::Tensor dnormed = expert_backward(weights.mlp, dout, saved.inner, leaf.mlp);
  at::Tensor dx = empty(dout.sizes(), dout.scalar_type());
  by_type(dout, [&]<class T>() {
    rms_norm_rows_backward(data<T>(dnormed), data<T>(saved.x), data<float>(weights.post_norm), data<float>(saved.rstd),
                           data<T>(dout), data<T>(dx), data<float>(leaf.post_norm), dout.size(0), dout.size(1));
  });
  saved = {};
  return dx;
}

}  // namespace regroup::ops
