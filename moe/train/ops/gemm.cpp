#include "moe/train/ops/gemm.hpp"

#include "base/check.hpp"

#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

// LibTorch's CPU library carries a BLAS and exports its C interface.
extern "C" void cblas_sgemm(int layout, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a, int lda, const float* b, int ldb,
                            float beta, float* c, int ldc);

namespace regroup::ops {

void multiply(at::Tensor out, const at::Tensor& a, const at::Tensor& b, float beta) {
  if (beta == 0.0f)
    at::mm_out(out, a, b);
  else
    at::addmm_out(out, out, a, b, beta, 1.0f);
}

void multiply(const Gemm& gemm, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  constexpr int kRowMajor = 101;
  constexpr int kPlain = 111;
  constexpr int kTransposed = 112;
  cblas_sgemm(kRowMajor, gemm.transpose_a ? kTransposed : kPlain, gemm.transpose_b ? kTransposed : kPlain, static_cast<int>(gemm.m), static_cast<int>(gemm.n),
              static_cast<int>(gemm.k), gemm.alpha, a, static_cast<int>(lda), b, static_cast<int>(ldb), gemm.beta, c, static_cast<int>(ldc));
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
