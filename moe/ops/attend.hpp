// attend.hpp: the attention itself, without its projections: rows of queries, keys and values in, weighted values out.
//
// Scores are made tile by tile (kQueryTile rows, a constant of the job) and made again in the backward. In fp32 inside,
// for rows of fp32 or bf16. One thread.
#pragma once

#include "moe/ops/bf16.hpp"

#include <cstdint>
#include <vector>

namespace regroup::ops {

inline constexpr std::int64_t kQueryTile = 64;

struct AttentionSizes {
  std::int64_t n, h, heads, kv_heads, head_dim;
  std::int64_t share;  // query heads of one key head
  std::int64_t width;  // of a row of qkv
  std::int64_t length, window;
  float scale;
};

// qkv [n, width]: heads, then the keys, then the values; context [n, heads * head_dim]. `documents`: tokens of each, n
// together. Writes context and lse whole (AttentionSaved).
template <class T>
void attend(const AttentionSizes& all, const std::vector<std::int64_t>& documents, const T* qkv, T* context,
            float* lse);

// dqkv [n, width] is written whole.
template <class T>
void attend_backward(const AttentionSizes& all, const std::vector<std::int64_t>& documents, const T* qkv,
                     const T* context, const float* lse, const T* dcontext, T* dqkv);

}  // namespace regroup::ops
