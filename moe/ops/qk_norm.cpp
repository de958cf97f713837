#include "moe/ops/qk_norm.hpp"

#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/typed.hpp"

#include <cstddef>
#include <cstring>

namespace regroup::ops {
namespace {

// Columns [first, first + width) of each row of qkv as a dense matrix whose rows are what one norm covers: the weight's
// length.
struct Part {
  std::int64_t first = 0;
  std::int64_t width = 0;
};

at::Tensor take(const at::Tensor& qkv, Part part, std::int64_t row) {
  at::Tensor dense = empty({qkv.size(0) * part.width / row, row}, qkv.scalar_type());
  const auto size = static_cast<std::size_t>(qkv.element_size()), width = static_cast<std::size_t>(part.width) * size,
             stride = static_cast<std::size_t>(qkv.size(1)) * size;
  const std::byte* from = static_cast<const std::byte*>(qkv.data_ptr()) + static_cast<std::size_t>(part.first) * size;
  auto* to = static_cast<std::byte*>(dense.data_ptr());
  for (std::size_t i = 0; i < static_cast<std::size_t>(qkv.size(0)); ++i)
    std::memcpy(to + i * width, from + i * stride, width);
  return dense;
}

void put_back(const at::Tensor& dense, const at::Tensor& qkv, Part part) {
  const auto size = static_cast<std::size_t>(qkv.element_size()), width = static_cast<std::size_t>(part.width) * size,
             stride = static_cast<std::size_t>(qkv.size(1)) * size;
  const auto* from = static_cast<const std::byte*>(dense.data_ptr());
  std::byte* to = static_cast<std::byte*>(qkv.data_ptr()) + static_cast<std::size_t>(part.first) * size;
  for (std::size_t i = 0; i < static_cast<std::size_t>(qkv.size(0)); ++i)
    std::memcpy(to + i * stride, from + i * width, width);
}

Part queries(const Dims& dims) { return {0, dims.shape.num_attention_heads * dims.shape.head_dim}; }
Part keys(const Dims& dims) {
  return {dims.shape.num_attention_heads * dims.shape.head_dim, dims.shape.num_key_value_heads * dims.shape.head_dim};
}

void forward(const at::Tensor& weight, const Dims& dims, const at::Tensor& qkv, Part part, at::Tensor& x,
             at::Tensor& rstd) {
  x = take(qkv, part, weight.numel());
  rstd = empty({x.size(0)});
  const at::Tensor y = empty(x.sizes(), x.scalar_type());
  by_type(x, [&]<class T>() {
    rms_norm_rows(data<T>(x), data<float>(weight), data<T>(y), data<float>(rstd), x.size(0), x.size(1),
                  static_cast<float>(dims.shape.rms_norm_eps));
  });
  put_back(y, qkv, part);
}

void backward(const at::Tensor& weight, const at::Tensor& dqkv, Part part, const at::Tensor& x, const at::Tensor& rstd,
              const at::Tensor& dweight) {
  const at::Tensor dy = take(dqkv, part, weight.numel());
  const at::Tensor dx = empty(dy.sizes(), dy.scalar_type());
  by_type(dy, [&]<class T>() {
    rms_norm_rows_backward(data<T>(dy), data<T>(x), data<float>(weight), data<float>(rstd),
                           static_cast<const T*>(nullptr), data<T>(dx), data<float>(dweight), x.size(0), x.size(1));
  });
  put_back(dx, dqkv, part);
}

}  // namespace

void qk_norm_forward(const DenseWeights& weights, const Dims& dims, const at::Tensor& qkv, QkNormSaved& saved) {
  if (!weights.q_norm.defined()) return;
  forward(weights.q_norm, dims, qkv, queries(dims), saved.q, saved.q_rstd);
  forward(weights.k_norm, dims, qkv, keys(dims), saved.k, saved.k_rstd);
}

void qk_norm_backward(const DenseWeights& weights, const Dims& dims, const at::Tensor& dqkv, QkNormSaved& saved,
                      DenseWeights& leaf) {
  if (!weights.q_norm.defined()) return;
  backward(weights.q_norm, dqkv, queries(dims), saved.q, saved.q_rstd, leaf.q_norm);
  backward(weights.k_norm, dqkv, keys(dims), saved.k, saved.k_rstd, leaf.k_norm);
  saved = {};
}

}  // namespace regroup::ops
