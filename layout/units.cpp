#include "layout/units.hpp"

#include "base/check.hpp"

#include <cstring>
#include <utility>

namespace regroup {
namespace {

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Lays tensors one after the other and sizes the blocks.
class UnitBuilder {
 public:
  UnitBuilder(UnitKind kind, int layer, int expert, int slice) {
    unit_.kind = kind;
    unit_.layer = layer;
    unit_.expert = expert;
    unit_.slice = slice;
  }

  UnitBuilder& add(std::string name, std::vector<std::int64_t> shape, bool decays = true) {
    TensorCut all{shape, 0, shape.back(), shape.back()};
    return add(std::move(name), std::move(shape), std::move(all), decays);
  }

  UnitBuilder& add(std::string name, std::vector<std::int64_t> shape, TensorCut whole, bool decays = true) {
    TensorSpec tensor;
    tensor.name = std::move(name);
    tensor.whole = std::move(whole);
    tensor.numel = 1;
    for (std::int64_t size : shape) tensor.numel *= size;
    tensor.shape = std::move(shape);
    tensor.offset = end_;
    tensor.decays = decays;
    end_ = round_up(end_ + tensor.numel, kTensorAlignment);
    unit_.tensors.push_back(std::move(tensor));
    return *this;
  }

  void finish(std::vector<Unit>& units) {
    unit_.index = static_cast<int>(units.size());
    unit_.block_elements = round_up((end_ + kBlocksPerUnit - 1) / kBlocksPerUnit, kBlockMultiple);
    units.push_back(std::move(unit_));
  }

 private:
  Unit unit_;
  std::int64_t end_ = 0;
};

void add_layer(const ModelShape& shape, int layer, std::vector<Unit>& units) {
  const ArchitectureInfo& names = info_of(shape.architecture);
  const std::string prefix = "model.layers." + std::to_string(layer) + ".";
  const std::int64_t h = shape.hidden_size;
  const std::int64_t q = shape.num_attention_heads * shape.head_dim;
  const std::int64_t kv = shape.num_key_value_heads * shape.head_dim;
  const bool sparse = shape.is_sparse(layer);
  UnitBuilder dense(UnitKind::kDense, layer, -1, 0);
  dense.add(prefix + "input_layernorm.weight", {h}, false)
      .add(prefix + "self_attn.q_proj.weight", {q, h})
      .add(prefix + "self_attn.k_proj.weight", {kv, h})
      .add(prefix + "self_attn.v_proj.weight", {kv, h})
      .add(prefix + "self_attn.o_proj.weight", {h, q})
      .add(prefix + "post_attention_layernorm.weight", {h}, false);
  if (sparse) {
    dense.add(prefix + names.gate, {shape.num_local_experts, h});
  } else {
    const std::int64_t f = shape.dense_intermediate_size;
    dense.add(prefix + names.mlp[0], {f, h}).add(prefix + names.mlp[1], {f, h}).add(prefix + names.mlp[2], {h, f});
  }
  if (names.qk_norm != QkNorm::kNone) {
    const bool whole = names.qk_norm == QkNorm::kWhole;
    dense.add(prefix + "self_attn.q_norm.weight", {whole ? q : shape.head_dim}, false)
        .add(prefix + "self_attn.k_norm.weight", {whole ? kv : shape.head_dim}, false);
  }
  dense.finish(units);
  if (!sparse) return;
  const std::int64_t whole = shape.intermediate_size;
  const std::int64_t f = whole / shape.expert_slices;
  for (int expert = 0; expert < shape.num_local_experts; ++expert) {
    const std::string base = prefix + names.experts + std::to_string(expert);
    for (int slice = 0; slice < shape.expert_slices; ++slice) {
      UnitBuilder(UnitKind::kExpert, layer, expert, slice)
          .add(base + names.w1, {f, h}, {{whole, h}, slice * f * h, h, h})
          .add(base + names.w3, {f, h}, {{whole, h}, slice * f * h, h, h})
          .add(base + names.w2, {h, f}, {{h, whole}, slice * f, f, whole})
          .finish(units);
    }
  }
}

}  // namespace

std::vector<Unit> make_units(const ModelShape& shape) {
  std::vector<Unit> units;
  const std::int64_t h = shape.hidden_size;
  UnitBuilder(UnitKind::kEmbedding, -1, -1, 0).add("model.embed_tokens.weight", {shape.vocab_size, h}).finish(units);
  for (int layer = 0; layer < shape.num_hidden_layers; ++layer) add_layer(shape, layer, units);
  UnitBuilder head(UnitKind::kHead, -1, -1, 0);
  head.add("model.norm.weight", {h}, false);
  if (!shape.tie_word_embeddings) head.add("lm_head.weight", {shape.vocab_size, h});
  head.finish(units);
  return units;
}

void put_in_whole(const TensorSpec& tensor, const float* ours, float* whole) {
  const TensorCut& cut = tensor.whole;
  const std::int64_t run = cut.is_one_run() ? tensor.numel : cut.columns;
  for (std::int64_t at = 0; at < tensor.numel; at += run)
    std::memcpy(whole + cut.element(at), ours + at, static_cast<std::size_t>(run) * sizeof(float));
}

std::vector<Unit> one_layer_of_each_kind(const ModelShape& shape) {
  ModelShape few = shape;  // the first layer has experts
  few.num_hidden_layers = shape.dense_layers.empty() ? 1 : 2;
  if (!shape.dense_layers.empty()) few.dense_layers = {1};
  return make_units(few);
}

std::int64_t layers_like(const ModelShape& shape, const Unit& unit) {
  if (unit.layer < 0) return 1;
  return unit.layer == 0 ? shape.num_sparse_layers() : static_cast<std::int64_t>(shape.dense_layers.size());
}

int dense_unit_index(const ModelShape& shape, int layer) {
  CHECK(layer >= 0 && layer < shape.num_hidden_layers, "layer", layer);
  return static_cast<int>(1 + layer + shape.sparse_before(layer) * shape.num_local_experts * shape.expert_slices);
}

int expert_unit_index(const ModelShape& shape, int layer, int expert, int slice) {
  CHECK(shape.is_sparse(layer), "layer", layer);
  CHECK(expert >= 0 && expert < shape.num_local_experts && slice >= 0 && slice < shape.expert_slices, "expert", expert,
        "slice", slice);
  return dense_unit_index(shape, layer) + 1 + expert * shape.expert_slices + slice;
}

}  // namespace regroup
