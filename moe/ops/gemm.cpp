#include "moe/ops/gemm.hpp"

#include "base/check.hpp"
#include "moe/ops/cpu.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/owner_update.hpp"
#include "moe/ops/typed.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>

namespace regroup::ops {

namespace {

constexpr std::int64_t kWidenedElements = 4 << 20;  // of an operand or a result at one time

void multiply_widened(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, float beta) {
  const at::Tensor wide_b = b.to(at::kFloat);
  const std::int64_t most = std::max<std::int64_t>(32, kWidenedElements / std::max(out.size(1), a.size(1)));
  for (std::int64_t row = 0; row < out.size(0); row += most) {
    const std::int64_t rows = std::min(most, out.size(0) - row);
    const at::Tensor part = out.narrow(0, row, rows);
    const at::Tensor sum = beta == 0.0f ? empty({rows, out.size(1)}) : part.to(at::kFloat);
    multiply(sum, a.narrow(0, row, rows).to(at::kFloat), wide_b, beta);
    part.copy_(sum);
  }
}

}  // namespace

void multiply(at::Tensor out, const at::Tensor& a, const at::Tensor& b, float beta) {
  if (out.scalar_type() == at::kBFloat16 && !has_avx512()) return multiply_widened(out, a, b, beta);
  if (beta == 0.0f)
    at::mm_out(out, a, b);
  else
    at::addmm_out(out, out, a, b, beta, 1.0f);
}

void multiply_gradient(const at::Tensor& out, const at::Tensor& a, const at::Tensor& b, bool add_to_out) {
  if (a.scalar_type() == at::kFloat) return multiply(out, a, b, add_to_out ? 1.0f : 0.0f);
  REGROUP_CHECK(out.is_contiguous(), "a gradient with gaps");
  const at::Tensor product = empty(out.sizes(), at::kBFloat16);
  multiply(product, a, b);
  if (add_to_out)
    add(data<float>(out), data<bf16>(product), out.numel());
  else
    widen_rows(data<bf16>(product), out.numel(), data<float>(out), 1, out.numel(), 1.0f);
}

at::Tensor empty(at::IntArrayRef sizes, at::ScalarType type) {
  at::Tensor tensor = at::empty(sizes, at::TensorOptions().dtype(type));
  REGROUP_CHECK(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 64 == 0,
                "LibTorch's allocator no longer aligns to 64 bytes");
  return tensor;
}

at::Tensor aligned(const at::Tensor& x) {
  if (x.is_contiguous() && reinterpret_cast<std::uintptr_t>(x.data_ptr()) % 64 == 0) return x;
  at::Tensor copy = empty(x.sizes(), x.scalar_type());
  copy.copy_(x);
  return copy;
}

at::Tensor as_float(const at::Tensor& x) {
  if (x.scalar_type() == at::kFloat) return x;
  const at::Tensor wide = empty(x.sizes());
  widen_rows(data<bf16>(x), x.size(1), data<float>(wide), x.size(0), x.size(1), 1.0f);
  return wide;
}

}  // namespace regroup::ops
