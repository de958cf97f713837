#include "moe/train/ops/gemm.hpp"

#include "base/check.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace regroup::ops {

void multiply(at::Tensor out, const at::Tensor& a, const at::Tensor& b, float beta) {
  if (beta == 0.0f)
    at::mm_out(out, a, b);
  else
    at::addmm_out(out, out, a, b, beta, 1.0f);
}

at::Tensor empty(at::IntArrayRef sizes) {
  at::Tensor tensor = at::empty(sizes, at::TensorOptions().dtype(at::kFloat));
  REGROUP_CHECK(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 64 == 0, "LibTorch's allocator no longer aligns to 64 bytes");
  return tensor;
}

at::Tensor aligned(const at::Tensor& x) {
  if (x.is_contiguous() && reinterpret_cast<std::uintptr_t>(x.data_ptr()) % 64 == 0) return x;
  at::Tensor copy = empty(x.sizes());
  copy.copy_(x);
  return copy;
}

}  // namespace regroup::ops
