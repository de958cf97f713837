#include "moe/train/ops/weights.hpp"

#include "base/check.hpp"

#include <ATen/ops/from_blob.h>

namespace regroup::ops {

namespace {

at::Tensor tensor_of(const Unit& unit, std::size_t position, float* flat) {
  REGROUP_CHECK(position < unit.tensors.size(), "unit", unit.index, "tensor", position);
  const TensorSpec& spec = unit.tensors[position];
  return view(flat + spec.offset, spec.shape);
}

// One matrix over all of them if they lie without a gap.
std::vector<at::Tensor> fuse(const std::vector<at::Tensor>& parts) {
  std::int64_t rows = 0;
  for (const at::Tensor& part : parts) {
    if (part.data_ptr<float>() != parts[0].data_ptr<float>() + rows * part.size(1)) return parts;
    rows += part.size(0);
  }
  return {view(parts[0].data_ptr<float>(), {rows, parts[0].size(1)})};
}

void check_kind(const Unit& unit, UnitKind kind, const float* flat) {
  REGROUP_CHECK(unit.kind == kind, "unit", unit.index, "kind", static_cast<int>(unit.kind), "wanted", static_cast<int>(kind));
  REGROUP_CHECK(reinterpret_cast<std::uintptr_t>(flat) % 64 == 0, "unit", unit.index, "does not start on 64 bytes");
}

// Three matrices from this position on.
ExpertWeights gated_mlp(const Unit& unit, std::size_t position, float* flat) {
  ExpertWeights w;
  w.w1 = tensor_of(unit, position, flat);
  w.w3 = tensor_of(unit, position + 1, flat);
  w.fused = fuse({w.w1, w.w3});
  w.w2 = tensor_of(unit, position + 2, flat);
  return w;
}

}  // namespace

at::Tensor view(float* data, at::IntArrayRef sizes) { return at::from_blob(data, sizes, at::TensorOptions().dtype(at::kFloat)); }

EmbeddingWeights embedding_weights(const Unit& unit, float* flat) {
  check_kind(unit, UnitKind::kEmbedding, flat);
  return {tensor_of(unit, 0, flat)};
}

DenseWeights dense_weights(const Unit& unit, float* flat) {
  check_kind(unit, UnitKind::kDense, flat);
  DenseWeights w;
  w.input_norm = tensor_of(unit, 0, flat);
  w.q = tensor_of(unit, 1, flat);
  w.k = tensor_of(unit, 2, flat);
  w.v = tensor_of(unit, 3, flat);
  w.fused = fuse({w.q, w.k, w.v});
  w.o = tensor_of(unit, 4, flat);
  w.post_norm = tensor_of(unit, 5, flat);
  std::size_t end = unit.tensors.size();
  if (unit.tensors.back().name.ends_with("k_norm.weight")) {
    end -= 2;
    w.q_norm = tensor_of(unit, end, flat);
    w.k_norm = tensor_of(unit, end + 1, flat);
  }
  if (end == 7) w.gate = tensor_of(unit, 6, flat);
  else w.mlp = gated_mlp(unit, 6, flat);
  return w;
}

ExpertWeights expert_weights(const Unit& unit, float* flat) {
  check_kind(unit, UnitKind::kExpert, flat);
  return gated_mlp(unit, 0, flat);
}

HeadWeights head_weights(const Unit& unit, float* flat, const EmbeddingWeights* tied) {
  check_kind(unit, UnitKind::kHead, flat);
  return {tensor_of(unit, 0, flat), tied != nullptr ? tied->table : tensor_of(unit, 1, flat)};
}

}  // namespace regroup::ops
