#include "moe/ops/attention.hpp"

#include "base/check.hpp"
#include "moe/ops/attend.hpp"
#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"
#include "moe/ops/typed.hpp"

#include <cmath>

namespace regroup::ops {

namespace {

AttentionSizes sizes_of(const Dims& dims) {
  const ModelShape& m = dims.shape;
  AttentionSizes s;
  s.n = dims.tokens();
  s.h = m.hidden_size;
  s.heads = m.num_attention_heads;
  s.kv_heads = m.num_key_value_heads;
  s.head_dim = m.head_dim;
  s.share = s.heads / s.kv_heads;
  s.width = (s.heads + 2 * s.kv_heads) * s.head_dim;
  s.length = dims.sequence_length;
  s.window = m.sliding_window.value_or(s.length);
  s.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.head_dim)));
  return s;
}

std::vector<std::int64_t> checked(const AttentionSizes& s, const std::vector<std::int64_t>& documents) {
  if (documents.empty()) return std::vector<std::int64_t>(static_cast<std::size_t>(s.n / s.length), s.length);
  std::int64_t end = 0;
  for (const std::int64_t length : documents) {
    REGROUP_CHECK(length > 0 && end / s.length == (end + length - 1) / s.length, "a document of", length,
                  "tokens at row", end, "of sequences of", s.length);
    end += length;
  }
  REGROUP_CHECK(end == s.n, "documents of", end, "tokens, sequences of", s.n);
  return documents;
}

// The rotated columns, queries and keys, lie side by side.
template <class T>
void rotate(const AttentionSizes& s, const Rope& rope, T* qkv, float sign) {
  rotate_rows(qkv, s.width, rope.cos.data_ptr<float>(), rope.sin.data_ptr<float>(), s.n, s.length, s.heads + s.kv_heads,
              s.head_dim, sign);
}

}  // namespace

Rope make_rope(const Dims& dims) {
  const std::int64_t half = dims.shape.head_dim / 2;
  Rope rope{empty({dims.sequence_length, half}), empty({dims.sequence_length, half})};
  for (std::int64_t t = 0; t < dims.sequence_length; ++t)
    for (std::int64_t j = 0; j < half; ++j) {
      const float exponent = static_cast<float>(2 * j) / static_cast<float>(dims.shape.head_dim);
      const float frequency = 1.0f / static_cast<float>(std::pow(dims.shape.rope_theta, static_cast<double>(exponent)));
      const float angle = static_cast<float>(t) * frequency;  // in fp32, as the published model's code has it
      rope.cos.data_ptr<float>()[t * half + j] = static_cast<float>(std::cos(static_cast<double>(angle)));
      rope.sin.data_ptr<float>()[t * half + j] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  return rope;
}

at::Tensor attention_forward(const DenseWeights& weights, const at::Tensor& x, const Rope& rope, const Dims& dims,
                             AttentionSaved& saved, const std::vector<std::int64_t>& documents) {
  const AttentionSizes s = sizes_of(dims);
  REGROUP_CHECK(x.size(0) == s.n && x.size(1) == s.h && x.is_contiguous(), "x is", x.size(0), "by", x.size(1));
  const at::ScalarType type = x.scalar_type();
  saved.x = x;
  saved.rstd = empty({s.n});
  saved.normed = empty({s.n, s.h}, type);
  saved.qkv = empty({s.n, s.width}, type);
  saved.context = empty({s.n, s.heads * s.head_dim}, type);
  saved.lse = empty({s.n * s.heads});
  saved.documents = checked(s, documents);
  at::Tensor out = empty({s.n, s.h}, type);
  by_type(x, [&]<class T>() {
    rms_norm_rows(data<T>(x), data<float>(weights.input_norm), data<T>(saved.normed), data<float>(saved.rstd), s.n, s.h,
                  static_cast<float>(dims.shape.rms_norm_eps));
    std::int64_t column = 0;
    for (const at::Tensor& matrix : weights.fused) {
      multiply(saved.qkv.narrow(1, column, matrix.size(0)), saved.normed, matrix.t());
      column += matrix.size(0);
    }
    qk_norm_forward(weights, dims, saved.qkv, saved.qk_norm);
    rotate(s, rope, data<T>(saved.qkv), 1.0f);
    attend(s, saved.documents, data<T>(saved.qkv), data<T>(saved.context), data<float>(saved.lse));
  });
  multiply(out, saved.context, weights.o.t());
  out.add_(x);
  return out;
}

at::Tensor attention_backward(const DenseWeights& weights, const at::Tensor& dout, AttentionSaved& saved,
                              const Rope& rope, const Dims& dims, DenseWeights& leaf) {
  const AttentionSizes s = sizes_of(dims);
  const at::ScalarType type = dout.scalar_type();
  multiply_gradient(leaf.o, dout.t(), saved.context, false);
  const at::Tensor dcontext = empty({s.n, s.heads * s.head_dim}, type);
  multiply(dcontext, dout, weights.o);
  const at::Tensor dqkv = empty({s.n, s.width}, type);
  at::Tensor dx = empty({s.n, s.h}, type);
  // A form may have gaps between the matrices where the other has none.
  const std::vector<at::Tensor> leaves =
      leaf.fused.size() == weights.fused.size() ? leaf.fused : std::vector<at::Tensor>{leaf.q, leaf.k, leaf.v};
  by_type(dout, [&]<class T>() {
    attend_backward(s, saved.documents, data<T>(saved.qkv), data<T>(saved.context), data<float>(saved.lse),
                    data<T>(dcontext), data<T>(dqkv));
    rotate(s, rope, data<T>(dqkv), -1.0f);
    qk_norm_backward(weights, dims, dqkv, saved.qk_norm, leaf);
    std::int64_t column = 0;
    for (std::size_t i = 0; i < weights.fused.size(); ++i) {
      const at::Tensor part = dqkv.narrow(1, column, weights.fused[i].size(0));
      multiply_gradient(leaves[i], part.t(), saved.normed, false);
      multiply(dx, part, weights.fused[i], column == 0 ? 0.0f : 1.0f);
      column += weights.fused[i].size(0);
    }
    rms_norm_rows_backward(data<T>(dx), data<T>(saved.x), data<float>(weights.input_norm), data<float>(saved.rstd),
                           data<T>(dout), data<T>(dx), data<float>(leaf.input_norm), s.n, s.h);
  });
  saved = {};
  return dx;
}

}  // namespace regroup::ops
