#include "moe/train/ops/expert.hpp"

#include "moe/train/ops/gemm.hpp"
#include "moe/train/ops/kernels.hpp"

namespace regroup::ops {

namespace {

// Where the result is made: in `out` if that may be a GEMM's operand, else apart, to be copied there.
at::Tensor target(const at::Tensor& out, std::int64_t rows, std::int64_t columns) {
  const bool direct = out.defined() && out.is_contiguous() && reinterpret_cast<std::uintptr_t>(out.data_ptr()) % 64 == 0;
  return direct ? out : empty({rows, columns});
}

at::Tensor finish(const at::Tensor& made, const at::Tensor& out) {
  if (!out.defined() || made.is_same(out)) return made;
  at::Tensor to = out;
  to.copy_(made);
  return to;
}

}  // namespace

at::Tensor expert_forward(const ExpertWeights& weights, const at::Tensor& rows, ExpertSaved& saved, at::Tensor out) {
  const std::int64_t n = rows.size(0);
  const std::int64_t f = weights.w1.size(0);
  if (n == 0) return out.defined() ? out : rows;
  saved.rows = aligned(rows);
  saved.hidden = empty({n, 2 * f});
  std::int64_t column = 0;
  for (const at::Tensor& matrix : weights.fused) {
    multiply(saved.hidden.narrow(1, column, matrix.size(0)), saved.rows, matrix.t());
    column += matrix.size(0);
  }
  const at::Tensor act = empty({n, f});
  swiglu_rows(saved.hidden.data_ptr<float>(), act.data_ptr<float>(), n, f);
  const at::Tensor y = target(out, n, weights.w2.size(0));
  multiply(y, act, weights.w2.t());
  return finish(y, out);
}

at::Tensor expert_backward(const ExpertWeights& weights, const at::Tensor& dy_rows, ExpertSaved& saved, ExpertWeights& accumulator, at::Tensor out) {
  const std::int64_t n = dy_rows.size(0);
  const std::int64_t f = weights.w1.size(0);
  if (n == 0) return out.defined() ? out : dy_rows;
  const at::Tensor dy = aligned(dy_rows);
  const at::Tensor dact = empty({n, f});
  multiply(dact, dy, weights.w2);
  const at::Tensor act = empty({n, f});
  const at::Tensor dhidden = empty({n, 2 * f});
  swiglu_rows_backward(saved.hidden.data_ptr<float>(), dact.data_ptr<float>(), act.data_ptr<float>(), dhidden.data_ptr<float>(), n, f);
  multiply(accumulator.w2, dy.t(), act, 1.0f);
  const at::Tensor dx = target(out, n, saved.rows.size(1));
  std::int64_t column = 0;
  for (std::size_t i = 0; i < weights.fused.size(); ++i) {
    const at::Tensor part = dhidden.narrow(1, column, weights.fused[i].size(0));
    multiply(accumulator.fused[i], part.t(), saved.rows, 1.0f);
    multiply(dx, part, weights.fused[i], column == 0 ? 0.0f : 1.0f);
    column += weights.fused[i].size(0);
  }
  saved = {};
  return finish(dx, out);
}

}  // namespace regroup::ops
