// gemm.hpp: the one way to multiply matrices here (attention's core has kernels of its own). Inside moe/train/ops only.
//
// One call a product, never cut or merged by layout. Operands start on 64 bytes, or at an offset from such a start that the shape alone fixes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace regroup::ops {

// out [m, n] = beta * out + a [m, k] b [k, n]. a and b may be transposed views; out has unit column stride. beta is 0 or 1.
void multiply(at::Tensor out, const at::Tensor& a, const at::Tensor& b, float beta = 0.0f);

// [rows, columns], fp32, not initialised, starting on 64 bytes.
at::Tensor empty(at::IntArrayRef sizes);

// x itself if it is dense and starts on 64 bytes, else a copy that does.
at::Tensor aligned(const at::Tensor& x);

}  // namespace regroup::ops
