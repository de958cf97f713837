// gemm.hpp: the one way to multiply matrices here (attention's core has kernels of its own). Inside moe/ops only.
//
// One call a product, never cut or merged by layout. Operands start on 64 bytes, or at an offset from such a start that
// the shape alone fixes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace regroup::ops {

// out [m, n] = beta * out + a [m, k] b [k, n], all of one type. a and b may be transposed views; out has unit column
// stride. beta is 0 or 1. bf16 is added up in fp32 and rounded once; without AVX-512 it is an fp32 product of exact
// copies.
void multiply(at::Tensor out, const at::Tensor& a, const at::Tensor& b, float beta = 0.0f);

// A weight's gradient: out [m, n] fp32 and dense, = a b (`add` false) or += a b. fp32 accumulates in the product; bf16
// makes a bf16 product first.
void multiply_gradient(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add);

// [rows, columns], not initialised, starting on 64 bytes.
at::Tensor empty(at::IntArrayRef sizes, at::ScalarType type = at::kFloat);

// x itself if it is dense and starts on 64 bytes, else a copy that does.
at::Tensor aligned(const at::Tensor& x);

// x [N, M] in fp32: itself, or an exact copy.
at::Tensor as_float(const at::Tensor& x);

}  // namespace regroup::ops
