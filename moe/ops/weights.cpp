#include "moe/ops/weights.hpp"

#include "base/check.hpp"

#include <ATen/ops/from_blob.h>

namespace regroup::ops {

namespace {

at::Tensor tensor_of(const Unit& unit, const ComputeForm& form, std::size_t position, std::byte* base) {
  REGROUP_CHECK(position < unit.tensors.size(), "unit", unit.index, "tensor", position);
  const ComputeForm::Spot& spot = form.spots()[position];
  return at::from_blob(base + spot.byte, unit.tensors[position].shape,
                       at::TensorOptions().dtype(spot.bf16 ? at::kBFloat16 : at::kFloat));
}

// One matrix over all of them if they lie without a gap.
std::vector<at::Tensor> fuse(const std::vector<at::Tensor>& parts) {
  std::int64_t rows = 0;
  for (const at::Tensor& part : parts) {
    const auto offset = static_cast<std::size_t>(rows * part.size(1)) * part.element_size();
    if (part.data_ptr() != static_cast<std::byte*>(parts[0].data_ptr()) + offset) return parts;
    rows += part.size(0);
  }
  return {at::from_blob(parts[0].data_ptr(), {rows, parts[0].size(1)}, parts[0].options())};
}

void check_kind(const Unit& unit, UnitKind kind, const std::byte* base) {
  REGROUP_CHECK(unit.kind == kind, "unit", unit.index, "kind", static_cast<int>(unit.kind), "wanted",
                static_cast<int>(kind));
  REGROUP_CHECK(reinterpret_cast<std::uintptr_t>(base) % 64 == 0, "unit", unit.index, "does not start on 64 bytes");
}

// Three matrices from this position on.
ExpertWeights gated_mlp(const Unit& unit, const ComputeForm& form, std::size_t position, std::byte* base) {
  ExpertWeights w;
  w.w1 = tensor_of(unit, form, position, base);
  w.w3 = tensor_of(unit, form, position + 1, base);
  w.fused = fuse({w.w1, w.w3});
  w.w2 = tensor_of(unit, form, position + 2, base);
  return w;
}

std::byte* bytes(float* flat) { return reinterpret_cast<std::byte*>(flat); }
ComputeForm flat_form(const Unit& unit) { return {unit, Precision::kFp32}; }

}  // namespace

at::Tensor view(float* data, at::IntArrayRef sizes) {
  return at::from_blob(data, sizes, at::TensorOptions().dtype(at::kFloat));
}

EmbeddingWeights embedding_weights(const Unit& unit, const ComputeForm& form, std::byte* base) {
  check_kind(unit, UnitKind::kEmbedding, base);
  return {tensor_of(unit, form, 0, base)};
}

DenseWeights dense_weights(const Unit& unit, const ComputeForm& form, std::byte* base) {
  check_kind(unit, UnitKind::kDense, base);
  DenseWeights w;
  w.input_norm = tensor_of(unit, form, 0, base);
  w.q = tensor_of(unit, form, 1, base);
  w.k = tensor_of(unit, form, 2, base);
  w.v = tensor_of(unit, form, 3, base);
  w.fused = fuse({w.q, w.k, w.v});
  w.o = tensor_of(unit, form, 4, base);
  w.post_norm = tensor_of(unit, form, 5, base);
  std::size_t end = unit.tensors.size();
  if (unit.tensors.back().name.ends_with("k_norm.weight")) {
    end -= 2;
    w.q_norm = tensor_of(unit, form, end, base);
    w.k_norm = tensor_of(unit, form, end + 1, base);
  }
  if (end == 7)
    w.gate = tensor_of(unit, form, 6, base);
  else
    w.mlp = gated_mlp(unit, form, 6, base);
  return w;
}

ExpertWeights expert_weights(const Unit& unit, const ComputeForm& form, std::byte* base) {
  check_kind(unit, UnitKind::kExpert, base);
  return gated_mlp(unit, form, 0, base);
}

HeadWeights head_weights(const Unit& unit, const ComputeForm& form, std::byte* base, const EmbeddingWeights* tied) {
  check_kind(unit, UnitKind::kHead, base);
  return {tensor_of(unit, form, 0, base), tied != nullptr ? tied->table : tensor_of(unit, form, 1, base)};
}

EmbeddingWeights embedding_weights(const Unit& unit, float* flat) {
  return embedding_weights(unit, flat_form(unit), bytes(flat));
}
DenseWeights dense_weights(const Unit& unit, float* flat) { return dense_weights(unit, flat_form(unit), bytes(flat)); }
ExpertWeights expert_weights(const Unit& unit, float* flat) {
  return expert_weights(unit, flat_form(unit), bytes(flat));
}
HeadWeights head_weights(const Unit& unit, float* flat, const EmbeddingWeights* tied) {
  return head_weights(unit, flat_form(unit), bytes(flat), tied);
}

}  // namespace regroup::ops
