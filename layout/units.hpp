// units.hpp: what moves as one, and how it lies in memory. Pure.
//
// A unit's flat buffer is fp32: its tensors one after the other, each starting on 16 elements (64 bytes), the whole
// padded with zeros to kBlocksPerUnit equal blocks of a multiple of kBlockMultiple elements. Shards are cut at block
// borders only. The optimizer's state of a unit is three such buffers: master weights, first moment, second moment.
//
// Order (frozen: digests of the norm depend on it): embedding, then for each layer its dense unit followed by its
// experts in ascending (expert, slice), then the head. With tied embeddings the head holds the final norm only.
#pragma once

#include "layout/model_shape.hpp"

#include <string>
#include <vector>

namespace regroup {

inline constexpr int kBlocksPerUnit = 256;
inline constexpr std::int64_t kBlockMultiple = 64;    // elements
inline constexpr std::int64_t kTensorAlignment = 16;  // elements

enum class UnitKind { kEmbedding, kDense, kExpert, kHead };

// Where a tensor's rows lie within the Hugging Face tensor of its name: all of it, or what one slice of an expert has.
struct TensorCut {
  std::vector<std::int64_t> shape;  // of the Hugging Face tensor
  std::int64_t first = 0;           // element in it of our first one
  std::int64_t columns = 0;         // elements of a row of ours
  std::int64_t stride = 0;          // elements from the start of a row to the next one's
  [[nodiscard]] std::int64_t element(std::int64_t ours) const {
    return first + ours / columns * stride + ours % columns;
  }
  [[nodiscard]] bool is_one_run() const { return columns == stride; }
};

struct TensorSpec {
  // Hugging Face (v4) name: model.layers.0.block_sparse_moe.experts.0.w1.weight; the slices of an expert share it
  std::string name;
  std::vector<std::int64_t> shape;  // row-major
  TensorCut whole;
  std::int64_t offset = 0;  // elements from the unit's start
  std::int64_t numel = 0;
  bool decays = true;  // weight decay applies (not to norms)
};

struct Unit {
  int index = 0;  // position in make_units()
  UnitKind kind = UnitKind::kDense;
  int layer = -1;
  int expert = -1;
  int slice = 0;
  std::vector<TensorSpec> tensors;  // ascending offset
  std::int64_t block_elements = 0;
  [[nodiscard]] std::int64_t padded_numel() const { return block_elements * kBlocksPerUnit; }
  [[nodiscard]] bool is_expert() const { return kind == UnitKind::kExpert; }
};

// Dense unit tensors, in order: input_layernorm, q_proj, k_proj, v_proj, o_proj, post_attention_layernorm, then gate,
// or gate_proj, up_proj and down_proj where the layer has no experts, then q_norm and k_norm where the family has them.
// Expert: w1 (gate) [f,h], w3 (up) [f,h], w2 (down) [h,f]; f = intermediate_size / expert_slices: a slice has rows of
// w1 and w3, and columns of w2. Embedding: embed_tokens [V,h]. Head: norm [h], lm_head [V,h].
std::vector<Unit> make_units(const ModelShape& shape);

// Copies `ours`, the elements of one tensor of a unit, to where they belong in the Hugging Face tensor.
void put_in_whole(const TensorSpec& tensor, const float* ours, float* whole);

// Layers with experts are alike, and so are those without: the embedding, one layer of each kind that there is, and the
// head are enough to know all sizes.
std::vector<Unit> one_layer_of_each_kind(const ModelShape& shape);
// How many units of the whole model have this unit's shape; for an expert, only those of the same (expert, slice).
std::int64_t layers_like(const ModelShape& shape, const Unit& unit);

// Index in make_units(): dense unit of a layer; an expert (slice) of a layer.
int dense_unit_index(const ModelShape& shape, int layer);
int expert_unit_index(const ModelShape& shape, int layer, int expert, int slice = 0);

}  // namespace regroup
