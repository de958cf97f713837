#include "moe/train/ops/gemm.hpp"

#include "base/check.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

// LibTorch's CPU library carries a BLAS and exports its Fortran interface.
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b, const int* m, const int* n, const int* k, const float* alpha, const float* a,
                       const int* lda, const float* b, const int* ldb, const float* beta, float* c, const int* ldc);

namespace regroup::ops {

void multiply(at::Tensor out, const at::Tensor& a, const at::Tensor& b, float beta) {
  if (beta == 0.0f)
    at::mm_out(out, a, b);
  else
    at::addmm_out(out, out, a, b, beta, 1.0f);
}

// Row-major c is column-major c transposed = op(b) transposed times op(a) transposed.
void multiply(const Gemm& gemm, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  const int m = static_cast<int>(gemm.m), n = static_cast<int>(gemm.n), k = static_cast<int>(gemm.k);
  const int stride_a = static_cast<int>(lda), stride_b = static_cast<int>(ldb), stride_c = static_cast<int>(ldc);
  sgemm_(gemm.transpose_b ? "T" : "N", gemm.transpose_a ? "T" : "N", &n, &m, &k, &gemm.alpha, b, &stride_b, a, &stride_a, &gemm.beta, c, &stride_c);
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
