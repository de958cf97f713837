#include "moe/ops/attend.hpp"

#include "moe/ops/gemm.hpp"
#include "moe/ops/kernels.hpp"

#include <algorithm>

namespace regroup::ops {
namespace {

constexpr std::int64_t kBlock = 8;  // rows or keys taken together; within kTileSlack

// The same for one document: its rows and keys are counted from its own start.
AttentionSizes within(const AttentionSizes& s, std::int64_t length) {
  AttentionSizes own = s;
  own.length = length;
  return own;
}

std::int64_t rounded(std::int64_t n) { return (n + kPanel - 1) / kPanel * kPanel; }

// One query head's rows [row, row + tile.rows) of a document against its keys from `key` on: both counted within the
// document.
struct Work {
  Tile tile;
  std::int64_t row = 0;
  std::int64_t key = 0;  // a multiple of kPanel
};

// In ascending order: sums over tiles depend on it.
template <class F>
void for_each_tile(const AttentionSizes& s, F&& f) {
  for (std::int64_t row = 0; row < s.length; row += kQueryTile) {
    const std::int64_t key = std::max<std::int64_t>(0, row - s.window + 1) / kPanel * kPanel;
    const std::int64_t rows = std::min(kQueryTile, s.length - row);
    // 16 more than the keys: rows a power of two apart would share cache sets.
    f(Work{{rows, rounded(row + rows - key) + 16, row + 1 - key, s.window}, row, key});
  }
}

std::int64_t most_stride(const AttentionSizes& s) {
  return rounded(std::min(s.length, s.window + kQueryTile + kPanel)) + 16;
}

// scores = a [rows, head_dim] times the transposed keys (or values) in panels; only where some row sees something.
void score(const AttentionSizes& s, const Work& w, const float* a, std::int64_t stride, const float* panels,
           float* scores) {
  const Tile& t = w.tile;
  for (std::int64_t key = t.begin(0) / kPanel * kPanel; key < t.end(t.rows - 1); key += kPanel) {
    // the first row that sees the panel
    const std::int64_t first = std::max<std::int64_t>(0, key - t.visible + 1) / kBlock * kBlock;
    multiply_panel(a + first * stride, stride, 1, panels + (w.key + key) * s.head_dim, scores + first * t.stride + key,
                   t.stride, t.rows - first, s.head_dim, false);
  }
}

// out, in panels of [rows, kPanel], = scores times keys (or values) in panels of [length, kPanel].
void gather(const AttentionSizes& s, const Work& w, const float* scores, const float* panels, float* out) {
  const Tile& t = w.tile;
  for (std::int64_t column = 0; column < s.head_dim; column += kPanel)
    for (std::int64_t i = 0; i < t.rows; i += kBlock) {
      const std::int64_t rows = std::min(kBlock, t.rows - i);
      const std::int64_t begin = t.begin(i);
      multiply_panel(scores + i * t.stride + begin, t.stride, 1, panels + column * s.length + (w.key + begin) * kPanel,
                     out + column * t.rows + i * kPanel, kPanel, rows, t.end(i + rows - 1) - begin, false);
    }
}

// sums, in panels of [length, kPanel], += scores transposed times rows in panels of [rows, kPanel].
void scatter(const AttentionSizes& s, const Work& w, const float* scores, const float* panels, float* sums) {
  const Tile& t = w.tile;
  for (std::int64_t column = 0; column < s.head_dim; column += kPanel)
    for (std::int64_t key = t.begin(0) / kBlock * kBlock; key < t.end(t.rows - 1); key += kBlock) {
      const std::int64_t keys = std::min(kBlock, t.end(t.rows - 1) - key);
      const std::int64_t first = std::max<std::int64_t>(0, key - t.visible + 1);  // rows that see the first key ...
      // ... to rows that see the last one
      const std::int64_t end = std::min(t.rows, std::max(first, key + keys - t.visible + t.window));
      multiply_panel(scores + first * t.stride + key, 1, t.stride, panels + column * t.rows + first * kPanel,
                     sums + column * s.length + (w.key + key) * kPanel, kPanel, keys, end - first, true);
    }
}

}  // namespace

template <class T>
void attend(const AttentionSizes& all, const std::vector<std::int64_t>& documents, const T* qkv, T* context,
            float* lse) {
  const std::int64_t panels = rounded(all.head_dim);
  const at::Tensor keys = empty({rounded(all.length) * all.head_dim}), values = empty({all.length * panels}),
                   queries = empty({kQueryTile * all.head_dim});
  const at::Tensor score_buffer = empty({kQueryTile * most_stride(all)}), out_buffer = empty({kQueryTile * panels}),
                   sum_buffer = empty({kQueryTile});
  float* scores = score_buffer.data_ptr<float>();
  float* out = out_buffer.data_ptr<float>();
  const std::int64_t context_width = all.heads * all.head_dim;
  for (const std::int64_t length : documents) {
    const AttentionSizes s = within(all, length);
    for (std::int64_t group = 0; group < s.kv_heads; ++group) {
      pack_transposed_panels(qkv + (s.heads + group) * s.head_dim, s.width, keys.data_ptr<float>(), s.length,
                             s.head_dim);
      pack_panels(qkv + (s.heads + s.kv_heads + group) * s.head_dim, s.width, values.data_ptr<float>(), s.length,
                  s.head_dim);
      for (std::int64_t head = group * s.share; head < (group + 1) * s.share; ++head)
        for_each_tile(s, [&](const Work& w) {
          float* q = queries.data_ptr<float>();
          widen_rows(qkv + w.row * s.width + head * s.head_dim, s.width, q, w.tile.rows, s.head_dim, s.scale);
          score(s, w, q, s.head_dim, keys.data_ptr<float>(), scores);
          attend_tile(w.tile, scores, lse + head * s.length + w.row, sum_buffer.data_ptr<float>());
          gather(s, w, scores, values.data_ptr<float>(), out);
          unpack_panels(out, context + w.row * context_width + head * s.head_dim, context_width, w.tile.rows,
                        s.head_dim, sum_buffer.data_ptr<float>(), 1.0f);
        });
    }
    qkv += s.length * s.width;
    context += s.length * context_width;
    lse += s.length * s.heads;
  }
}

// With q' = scale * q: S = q' k^T, so dq = scale * dS k and dk = dS^T q'.
template <class T>
void attend_backward(const AttentionSizes& all, const std::vector<std::int64_t>& documents, const T* qkv,
                     const T* context, const float* lse, const T* dcontext, T* dqkv) {
  const std::int64_t panels = rounded(all.head_dim);
  const at::Tensor packed = empty({2 * rounded(all.length) * all.head_dim}),
                   rows_of_keys = empty({3 * all.length * panels});
  const at::Tensor rows = empty({2 * kQueryTile * all.head_dim}), tiles = empty({3 * kQueryTile * panels});
  const at::Tensor square = empty({2 * kQueryTile * most_stride(all)}), delta_buffer = empty({kQueryTile});
  float* keys_transposed = packed.data_ptr<float>();
  float* values_transposed = keys_transposed + rounded(all.length) * all.head_dim;
  float* keys = rows_of_keys.data_ptr<float>();
  float* dkeys = keys + all.length * panels;
  float* dvalues = dkeys + all.length * panels;
  float* q = rows.data_ptr<float>();
  float* dout = q + kQueryTile * all.head_dim;
  float* q_panels = tiles.data_ptr<float>();
  float* dout_panels = q_panels + kQueryTile * panels;
  float* dq_panels = dout_panels + kQueryTile * panels;
  float* scores = square.data_ptr<float>();
  float* dscores = scores + kQueryTile * most_stride(all);
  float* delta = delta_buffer.data_ptr<float>();
  const std::int64_t context_width = all.heads * all.head_dim;
  for (const std::int64_t length : documents) {
    const AttentionSizes s = within(all, length);
    for (std::int64_t group = 0; group < s.kv_heads; ++group) {
      const std::int64_t key_column = (s.heads + group) * s.head_dim;
      const std::int64_t value_column = key_column + s.kv_heads * s.head_dim;
      pack_transposed_panels(qkv + key_column, s.width, keys_transposed, s.length, s.head_dim);
      pack_transposed_panels(qkv + value_column, s.width, values_transposed, s.length, s.head_dim);
      pack_panels(qkv + key_column, s.width, keys, s.length, s.head_dim);
      std::fill(dkeys, dkeys + s.length * panels, 0.0f);
      std::fill(dvalues, dvalues + s.length * panels, 0.0f);
      for (std::int64_t head = group * s.share; head < (group + 1) * s.share; ++head)
        for_each_tile(s, [&](const Work& w) {
          const std::int64_t at = w.row * context_width + head * s.head_dim;
          widen_rows(qkv + w.row * s.width + head * s.head_dim, s.width, q, w.tile.rows, s.head_dim, s.scale);
          widen_rows(dcontext + at, context_width, dout, w.tile.rows, s.head_dim, 1.0f);
          pack_panels(q, s.head_dim, q_panels, w.tile.rows, s.head_dim);
          pack_panels(dout, s.head_dim, dout_panels, w.tile.rows, s.head_dim);
          dot_rows(dcontext + at, context + at, context_width, delta, w.tile.rows, s.head_dim);
          score(s, w, q, s.head_dim, keys_transposed, scores);
          score(s, w, dout, s.head_dim, values_transposed, dscores);
          attend_tile_backward(w.tile, scores, dscores, lse + head * s.length + w.row, delta);
          gather(s, w, dscores, keys, dq_panels);
          unpack_panels(dq_panels, dqkv + w.row * s.width + head * s.head_dim, s.width, w.tile.rows, s.head_dim,
                        nullptr, s.scale);
          scatter(s, w, dscores, q_panels, dkeys);
          scatter(s, w, scores, dout_panels, dvalues);
        });
      unpack_panels(dkeys, dqkv + key_column, s.width, s.length, s.head_dim, nullptr, 1.0f);
      unpack_panels(dvalues, dqkv + value_column, s.width, s.length, s.head_dim, nullptr, 1.0f);
    }
    qkv += s.length * s.width;
    dqkv += s.length * s.width;
    context += s.length * context_width;
    dcontext += s.length * context_width;
    lse += s.length * s.heads;
  }
}

template void attend(const AttentionSizes&, const std::vector<std::int64_t>&, const float*, float*, float*);
template void attend(const AttentionSizes&, const std::vector<std::int64_t>&, const bf16*, bf16*, float*);
template void attend_backward(const AttentionSizes&, const std::vector<std::int64_t>&, const float*, const float*,
                              const float*, const float*, float*);
template void attend_backward(const AttentionSizes&, const std::vector<std::int64_t>&, const bf16*, const bf16*,
                              const float*, const bf16*, bf16*);

}  // namespace regroup::ops
