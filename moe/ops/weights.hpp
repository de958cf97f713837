// weights.hpp: the sizes of one microbatch, and tensors as views into a unit's buffer.
//
// A view owns nothing: the buffer must outlive it, start on 64 bytes and hold unit.padded_numel() floats, or the bytes
// of its compute form. The same structs view weights, gradient leaves (one microbatch) and accumulators (a chain); what
// a function does to its leaf is said there.
#pragma once

#include "layout/compute_form.hpp"
#include "layout/model_shape.hpp"
#include "layout/units.hpp"

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace regroup::ops {

struct Dims {
  ModelShape shape;
  std::int64_t sequences = 0;        // of one microbatch
  std::int64_t sequence_length = 0;  // targets a sequence
  Precision precision = Precision::kFp32;
  [[nodiscard]] std::int64_t tokens() const { return sequences * sequence_length; }  // N below
};

// Where matrices that share their input lie one behind the other without a gap (a property of the shape, so of the
// job), `fused` holds them as one matrix and a product is one call; else it holds each.
struct EmbeddingWeights {
  at::Tensor table;  // [vocab, hidden]
};
struct ExpertWeights {            // one expert, or one slice of it; f = intermediate_size / expert_slices
  at::Tensor w1, w3;              // gate, up: [f, hidden]
  std::vector<at::Tensor> fused;  // {[w1; w3]} or {w1, w3}
  at::Tensor w2;                  // down: [hidden, f]
};
struct DenseWeights {
  at::Tensor input_norm;          // [hidden]
  at::Tensor q, k, v;             // [heads * head_dim, hidden], [kv_heads * head_dim, hidden] twice
  std::vector<at::Tensor> fused;  // {[q; k; v]} or {q, k, v}
  at::Tensor o;                   // [hidden, heads * head_dim]
  at::Tensor post_norm;           // [hidden]
  at::Tensor gate;                // [experts, hidden]; undefined in a layer without experts, which has
  ExpertWeights mlp;              // this, f = dense_intermediate_size
  // [head_dim] or [heads * head_dim], [kv_heads * head_dim]; undefined where the family has none
  at::Tensor q_norm, k_norm;
};
struct HeadWeights {
  at::Tensor norm;     // [hidden]
  at::Tensor lm_head;  // [vocab, hidden]
};

// The unit's kind must fit (CHECK), and the buffer must start on 64 bytes (CHECK).
EmbeddingWeights embedding_weights(const Unit& unit, float* flat);
DenseWeights dense_weights(const Unit& unit, float* flat);
ExpertWeights expert_weights(const Unit& unit, float* flat);
// With tied embeddings the head unit has no lm_head: `tied` is the embedding's view then (and its leaf for gradients).
HeadWeights head_weights(const Unit& unit, float* flat, const EmbeddingWeights* tied = nullptr);

// The same over a buffer in the unit's compute form.
EmbeddingWeights embedding_weights(const Unit& unit, const ComputeForm& form, std::byte* base);
DenseWeights dense_weights(const Unit& unit, const ComputeForm& form, std::byte* base);
ExpertWeights expert_weights(const Unit& unit, const ComputeForm& form, std::byte* base);
HeadWeights head_weights(const Unit& unit, const ComputeForm& form, std::byte* base,
                         const EmbeddingWeights* tied = nullptr);

// An fp32 tensor over memory that somebody else owns.
at::Tensor view(float* data, at::IntArrayRef sizes);

}  // namespace regroup::ops
