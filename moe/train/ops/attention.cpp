#include "moe/train/ops/attention.hpp"

#include "base/check.hpp"
#include "moe/train/ops/gemm.hpp"
#include "moe/train/ops/kernels.hpp"

#include <algorithm>
#include <cmath>

namespace regroup::ops {

namespace {

struct Sizes {
  std::int64_t n, h, heads, kv_heads, head_dim, share, width, length, window;
  float scale;
};

Sizes sizes_of(const Dims& dims) {
  const ModelShape& m = dims.shape;
  Sizes s;
  s.n = dims.tokens();
  s.h = m.hidden_size;
  s.heads = m.num_attention_heads;
  s.kv_heads = m.num_key_value_heads;
  s.head_dim = m.head_dim;
  s.share = s.heads / s.kv_heads;                       // query heads of one key head
  s.width = (s.heads + 2 * s.kv_heads) * s.head_dim;    // of a row of qkv
  s.length = dims.sequence_length;
  s.window = m.sliding_window.value_or(s.length);
  s.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.head_dim)));
  return s;
}

// One key head's piece of work: its query heads' rows [row, row + tile.rows) of one sequence against keys from `key` on.
struct Work {
  Tile tile;
  std::int64_t row, key;           // rows of the microbatch
  std::int64_t q, k, v;            // columns of qkv; q is also the column in context
  std::int64_t lse;                // first element
  [[nodiscard]] std::int64_t stacked() const { return tile.heads * tile.rows; }
};

// Always in this order: sums over heads and tiles depend on it.
template <class F>
void for_each_tile(const Sizes& s, F&& f) {
  for (std::int64_t sequence = 0; sequence < s.n / s.length; ++sequence)
    for (std::int64_t group = 0; group < s.kv_heads; ++group)
      for (std::int64_t at = 0; at < s.length; at += kQueryTile) {
        Work w;
        const std::int64_t key = std::max<std::int64_t>(0, at - s.window + 1) / 16 * 16;
        w.tile = {s.share, std::min(kQueryTile, s.length - at), 0, at + 1 - key, s.window};
        w.tile.keys = at + w.tile.rows - key;
        w.row = sequence * s.length + at;
        w.key = sequence * s.length + key;
        w.q = group * s.share * s.head_dim;
        w.k = (s.heads + group) * s.head_dim;
        w.v = (s.heads + s.kv_heads + group) * s.head_dim;
        w.lse = (sequence * s.heads + group * s.share) * s.length + at;
        f(w);
      }
}

std::int64_t most_keys(const Sizes& s) { return std::min(s.length, s.window + kQueryTile + 16); }

void attend(const Sizes& s, const float* qkv, float* context, float* lse) {
  const std::int64_t rows = s.share * kQueryTile;
  const at::Tensor q_buffer = empty({rows, s.head_dim}), out_buffer = empty({rows, s.head_dim}), score_buffer = empty({rows, most_keys(s)}), sum_buffer = empty({rows});
  float* q = q_buffer.data_ptr<float>();
  float* out = out_buffer.data_ptr<float>();
  float* scores = score_buffer.data_ptr<float>();
  float* inverse_sum = sum_buffer.data_ptr<float>();
  for_each_tile(s, [&](const Work& w) {
    const std::int64_t m = w.stacked();
    stack_heads(qkv + w.row * s.width + w.q, s.width, q, s.share, w.tile.rows, s.head_dim);
    multiply({.m = m, .n = w.tile.keys, .k = s.head_dim, .transpose_b = true, .alpha = s.scale}, q, s.head_dim, qkv + w.key * s.width + w.k, s.width, scores,
             w.tile.keys);
    attend_tile(w.tile, scores, lse + w.lse, s.length, inverse_sum);
    multiply({.m = m, .n = s.head_dim, .k = w.tile.keys}, scores, w.tile.keys, qkv + w.key * s.width + w.v, s.width, out, s.head_dim);
    unstack_heads(out, inverse_sum, context + w.row * s.heads * s.head_dim + w.q, s.heads * s.head_dim, s.share, w.tile.rows, s.head_dim);
  });
}

// dqkv [N, width] is written whole: its key and value columns must hold zeros before.
void attend_backward(const Sizes& s, const float* qkv, const float* context, const float* lse, const float* dcontext, float* dqkv) {
  const std::int64_t rows = s.share * kQueryTile;
  const at::Tensor stacked = empty({4, rows, s.head_dim}), square = empty({2, rows, most_keys(s)}), delta_buffer = empty({rows});
  float* q = stacked.data_ptr<float>();
  float* dout = q + rows * s.head_dim;
  float* out = dout + rows * s.head_dim;
  float* dq = out + rows * s.head_dim;
  float* scores = square.data_ptr<float>();
  float* dscores = scores + rows * most_keys(s);
  float* delta = delta_buffer.data_ptr<float>();
  const std::int64_t context_width = s.heads * s.head_dim;
  for_each_tile(s, [&](const Work& w) {
    const std::int64_t m = w.stacked();
    const std::int64_t keys = w.tile.keys;
    const float* k = qkv + w.key * s.width + w.k;
    const float* v = qkv + w.key * s.width + w.v;
    stack_heads(qkv + w.row * s.width + w.q, s.width, q, s.share, w.tile.rows, s.head_dim);
    stack_heads(dcontext + w.row * context_width + w.q, context_width, dout, s.share, w.tile.rows, s.head_dim);
    stack_heads(context + w.row * context_width + w.q, context_width, out, s.share, w.tile.rows, s.head_dim);
    dot_rows(dout, out, delta, m, s.head_dim);
    multiply({.m = m, .n = keys, .k = s.head_dim, .transpose_b = true, .alpha = s.scale}, q, s.head_dim, k, s.width, scores, keys);
    multiply({.m = m, .n = keys, .k = s.head_dim, .transpose_b = true}, dout, s.head_dim, v, s.width, dscores, keys);
    attend_tile_backward(w.tile, scores, dscores, lse + w.lse, s.length, delta, s.scale);
    multiply({.m = m, .n = s.head_dim, .k = keys}, dscores, keys, k, s.width, dq, s.head_dim);
    unstack_heads(dq, nullptr, dqkv + w.row * s.width + w.q, s.width, s.share, w.tile.rows, s.head_dim);
    multiply({.m = keys, .n = s.head_dim, .k = m, .transpose_a = true, .beta = 1}, dscores, keys, q, s.head_dim, dqkv + w.key * s.width + w.k, s.width);
    multiply({.m = keys, .n = s.head_dim, .k = m, .transpose_a = true, .beta = 1}, scores, keys, dout, s.head_dim, dqkv + w.key * s.width + w.v, s.width);
  });
}

// The rotated columns, queries and keys, lie side by side.
void rotate(const Sizes& s, const Rope& rope, float* qkv, float sign) {
  rotate_rows(qkv, s.width, rope.cos.data_ptr<float>(), rope.sin.data_ptr<float>(), s.n, s.length, s.heads + s.kv_heads, s.head_dim, sign);
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

at::Tensor attention_forward(const DenseWeights& weights, const at::Tensor& x, const Rope& rope, const Dims& dims, AttentionSaved& saved) {
  const Sizes s = sizes_of(dims);
  REGROUP_CHECK(x.size(0) == s.n && x.size(1) == s.h && x.is_contiguous(), "x is", x.size(0), "by", x.size(1));
  saved.x = x;
  saved.rstd = empty({s.n});
  saved.normed = empty({s.n, s.h});
  rms_norm_rows(x.data_ptr<float>(), weights.input_norm.data_ptr<float>(), saved.normed.data_ptr<float>(), saved.rstd.data_ptr<float>(), s.n, s.h,
                static_cast<float>(dims.shape.rms_norm_eps));
  saved.qkv = empty({s.n, s.width});
  std::int64_t column = 0;
  for (const at::Tensor& matrix : weights.fused) {
    multiply(saved.qkv.narrow(1, column, matrix.size(0)), saved.normed, matrix.t());
    column += matrix.size(0);
  }
  rotate(s, rope, saved.qkv.data_ptr<float>(), 1.0f);
  saved.context = empty({s.n, s.heads * s.head_dim});
  saved.lse = empty({s.n / s.length, s.heads, s.length});
  attend(s, saved.qkv.data_ptr<float>(), saved.context.data_ptr<float>(), saved.lse.data_ptr<float>());
  at::Tensor out = empty({s.n, s.h});
  multiply(out, saved.context, weights.o.t());
  out.add_(x);
  return out;
}

at::Tensor attention_backward(const DenseWeights& weights, const at::Tensor& dout, AttentionSaved& saved, const Rope& rope, const Dims& dims,
                              DenseWeights& leaf) {
  const Sizes s = sizes_of(dims);
  multiply(leaf.o, dout.t(), saved.context);
  const at::Tensor dcontext = empty({s.n, s.heads * s.head_dim});
  multiply(dcontext, dout, weights.o);
  const at::Tensor dqkv = empty({s.n, s.width});
  dqkv.narrow(1, s.heads * s.head_dim, 2 * s.kv_heads * s.head_dim).zero_();
  attend_backward(s, saved.qkv.data_ptr<float>(), saved.context.data_ptr<float>(), saved.lse.data_ptr<float>(), dcontext.data_ptr<float>(),
                  dqkv.data_ptr<float>());
  rotate(s, rope, dqkv.data_ptr<float>(), -1.0f);
  at::Tensor dx = empty({s.n, s.h});
  std::int64_t column = 0;
  for (std::size_t i = 0; i < weights.fused.size(); ++i) {
    const at::Tensor part = dqkv.narrow(1, column, weights.fused[i].size(0));
    multiply(leaf.fused[i], part.t(), saved.normed);
    multiply(dx, part, weights.fused[i], column == 0 ? 0.0f : 1.0f);
    column += weights.fused[i].size(0);
  }
  rms_norm_rows_backward(dx.data_ptr<float>(), saved.x.data_ptr<float>(), weights.input_norm.data_ptr<float>(), saved.rstd.data_ptr<float>(),
                         dout.data_ptr<float>(), dx.data_ptr<float>(), leaf.input_norm.data_ptr<float>(), s.n, s.h);
  saved = {};
  return dx;
}

}  // namespace regroup::ops
