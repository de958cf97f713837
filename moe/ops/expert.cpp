#include "moe/ops/expert.hpp"

#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/typed.hpp"

namespace regroup::ops {

namespace {

// Where the result is made: in `out` if that may be a GEMM's operand, else apart, to be copied there.
at::Tensor target(const at::Tensor& out, std::int64_t rows, std::int64_t columns, at::ScalarType type) {
  const bool direct = out.defined() && out.size(0) == rows && out.is_contiguous() &&
                      reinterpret_cast<std::uintptr_t>(out.data_ptr()) % 64 == 0;
  return direct ? out : empty({rows, columns}, type);
}

at::Tensor finish(const at::Tensor& made, const at::Tensor& out, std::int64_t n) {
  if (!out.defined()) return made.narrow(0, 0, n);
  if (made.is_same(out)) return out;
  at::Tensor to = out;
  to.copy_(made.narrow(0, 0, n));
  return to;
}

// The rows, aligned, with zeros below them up to `rows` rows.
at::Tensor padded(const at::Tensor& x, std::int64_t rows) {
  if (rows == x.size(0)) return aligned(x);
  at::Tensor result = empty({rows, x.size(1)}, x.scalar_type());
  result.narrow(0, 0, x.size(0)).copy_(x);
  result.narrow(0, x.size(0), rows - x.size(0)).zero_();
  return result;
}

at::Tensor gate_and_up(const ExpertWeights& weights, const at::Tensor& rows) {
  at::Tensor hidden = empty({rows.size(0), 2 * weights.w1.size(0)}, rows.scalar_type());
  std::int64_t column = 0;
  for (const at::Tensor& matrix : weights.fused) {
    multiply(hidden.narrow(1, column, matrix.size(0)), rows, matrix.t());
    column += matrix.size(0);
  }
  return hidden;
}

}  // namespace

std::int64_t segment_rows(std::int64_t n, Precision precision) {
  if (precision == Precision::kFp32) return n;
  std::int64_t step = kSegmentStep;
  while (step * 32 <= n) step *= 2;
  return (n + step - 1) / step * step;
}

at::Tensor expert_forward(const ExpertWeights& weights, const at::Tensor& rows, ExpertSaved& saved, at::Tensor out) {
  const std::int64_t n = rows.size(0);
  const std::int64_t f = weights.w1.size(0);
  const at::ScalarType type = rows.scalar_type();
  if (n == 0) return out.defined() ? out : rows;
  const std::int64_t p = segment_rows(n, type == at::kFloat ? Precision::kFp32 : Precision::kBf16);
  if (!saved.rows.defined()) saved.rows = padded(rows, p);
  saved.hidden = gate_and_up(weights, saved.rows);
  const at::Tensor act = empty({p, f}, type);
  by_type(act, [&]<class T>() { swiglu_rows(data<T>(saved.hidden), data<T>(act), p, f); });
  const at::Tensor y = target(out, p, weights.w2.size(0), type);
  multiply(y, act, weights.w2.t());
  return finish(y, out, n);
}

at::Tensor expert_row_gradients(const ExpertWeights& weights, const at::Tensor& dy_rows, ExpertSaved& saved,
                                ExpertBackward& rest, at::Tensor out) {
  const std::int64_t n = dy_rows.size(0);
  const std::int64_t f = weights.w1.size(0);
  const at::ScalarType type = dy_rows.scalar_type();
  if (n == 0) return out.defined() ? out : dy_rows;
  const std::int64_t p = saved.rows.size(0);
  if (!saved.hidden.defined()) saved.hidden = gate_and_up(weights, saved.rows);
  const at::Tensor dy = padded(dy_rows, p);
  at::Tensor dact = empty({p, f}, type);
  multiply(dact, dy, weights.w2);
  rest = {saved.rows, dy, empty({p, f}, type), empty({p, 2 * f}, type)};
  by_type(dact, [&]<class T>() {
    swiglu_rows_backward(data<T>(saved.hidden), data<T>(dact), data<T>(rest.act), data<T>(rest.dhidden), p, f);
  });
  dact.reset();
  saved = {};
  const at::Tensor dx = target(out, p, rest.rows.size(1), type);
  std::int64_t column = 0;
  for (const at::Tensor& matrix : weights.fused) {
    multiply(dx, rest.dhidden.narrow(1, column, matrix.size(0)), matrix, column == 0 ? 0.0f : 1.0f);
    column += matrix.size(0);
  }
  return finish(dx, out, n);
}

void expert_weight_gradients(ExpertBackward& rest, ExpertWeights& accumulator) {
  if (!rest.dy.defined()) return;
  multiply_gradient(accumulator.w2, rest.dy.t(), rest.act, true);
  std::int64_t column = 0;
  for (const at::Tensor& sum : accumulator.fused) {
    multiply_gradient(sum, rest.dhidden.narrow(1, column, sum.size(0)).t(), rest.rows, true);
    column += sum.size(0);
  }
  rest = {};
}

at::Tensor expert_backward(const ExpertWeights& weights, const at::Tensor& dy_rows, ExpertSaved& saved,
                           ExpertWeights& accumulator, at::Tensor out) {
  ExpertBackward rest;
  const at::Tensor dx = expert_row_gradients(weights, dy_rows, saved, rest, std::move(out));
  expert_weight_gradients(rest, accumulator);
  return dx;
}

void add_slices(const at::Tensor& y, const at::Tensor& more) {
  by_type(y, [&]<class T>() { add_slices(data<T>(y), data<T>(more), more.size(0), y.numel()); });
}

}  // namespace regroup::ops
