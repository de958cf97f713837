// gemm.hpp: the two ways to multiply matrices here. Inside moe/train/ops only.
//
// One call a product, never cut or merged by layout. Operands start on 64 bytes, or at an offset from such a start that the shape alone fixes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace regroup::ops {

// out [m, n] = beta * out + a [m, k] b [k, n]. a and b may be transposed views; out has unit column stride. beta is 0 or 1.
void multiply(at::Tensor out, const at::Tensor& a, const at::Tensor& b, float beta = 0.0f);

// The same on plain fp32 memory with row strides, for the many small products of attention: c = alpha * op(a) op(b) + beta * c.
struct Gemm {
  std::int64_t m, n, k;
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1.0f;
  float beta = 0.0f;
};
void multiply(const Gemm& gemm, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc);

// [rows, columns], fp32, not initialised, starting on 64 bytes.
at::Tensor empty(at::IntArrayRef sizes);

// x itself if it is dense and starts on 64 bytes, else a copy that does.
at::Tensor aligned(const at::Tensor& x);

}  // namespace regroup::ops
