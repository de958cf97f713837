#include "layout/units.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace regroup {
namespace {

ModelShape sample(bool tied, int slices) {
  return {.vocab_size = 259,
          .hidden_size = 72,
          .intermediate_size = 120,
          .num_hidden_layers = 3,
          .num_attention_heads = 4,
          .num_key_value_heads = 2,
          .head_dim = 18,
          .num_local_experts = 5,
          .num_experts_per_tok = 2,
          .max_position_embeddings = 64,
          .tie_word_embeddings = tied,
          .expert_slices = slices};
}

TEST(Units, tensors_are_aligned_disjoint_and_inside_their_blocks) {
  for (const bool tied : {false, true}) {
    for (const int slices : {1, 2, 4}) {
      const ModelShape shape = sample(tied, slices);
      ASSERT_TRUE(check_shape(shape));
      const auto units = make_units(shape);
      ASSERT_EQ(units.size(), 2 + 3 * (1 + 5 * static_cast<std::size_t>(slices)));
      std::int64_t parameters = 0;
      for (std::size_t i = 0; i < units.size(); ++i) {
        const Unit& unit = units[i];
        EXPECT_EQ(unit.index, static_cast<int>(i));
        EXPECT_EQ(unit.block_elements % kBlockMultiple, 0);
        std::int64_t end = 0;
        for (const TensorSpec& tensor : unit.tensors) {
          EXPECT_GE(tensor.offset, end);
          EXPECT_LT(tensor.offset - end, kTensorAlignment);
          EXPECT_EQ(tensor.offset % kTensorAlignment, 0);
          std::int64_t numel = 1;
          for (std::int64_t size : tensor.shape) numel *= size;
          EXPECT_EQ(numel, tensor.numel);
          EXPECT_EQ(tensor.decays, tensor.shape.size() > 1) << tensor.name;
          end = tensor.offset + tensor.numel;
          parameters += tensor.numel;
        }
        EXPECT_LE(end, unit.padded_numel());
        EXPECT_LT(unit.padded_numel() - end, kBlocksPerUnit * kBlockMultiple + kTensorAlignment)
            << "more padding than the blocks need";
      }
      EXPECT_EQ(parameters, count_parameters(shape));
    }
  }
}

TEST(Units, slices_make_up_each_hugging_face_tensor_once) {
  for (const int slices : {1, 2, 4}) {
    std::map<std::string, std::vector<int>> times;
    std::map<std::string, std::vector<std::int64_t>> shapes;
    for (const Unit& unit : make_units(sample(false, slices))) {
      for (const TensorSpec& tensor : unit.tensors) {
        std::int64_t numel = 1;
        for (const std::int64_t size : tensor.whole.shape) numel *= size;
        auto& here = times[tensor.name];
        here.resize(static_cast<std::size_t>(numel));
        shapes[tensor.name] = tensor.whole.shape;
        std::vector<float> ours(static_cast<std::size_t>(tensor.numel)), whole(here.size());
        for (std::size_t i = 0; i < ours.size(); ++i) ours[i] = static_cast<float>(i + 1);
        put_in_whole(tensor, ours.data(), whole.data());
        for (std::int64_t i = 0; i < tensor.numel; ++i) {
          const std::int64_t at = tensor.whole.element(i);
          ++here.at(static_cast<std::size_t>(at));
          ASSERT_EQ(whole[static_cast<std::size_t>(at)], static_cast<float>(i + 1)) << tensor.name;
        }
      }
    }
    EXPECT_EQ(shapes.at("model.layers.1.block_sparse_moe.experts.3.w2.weight"), (std::vector<std::int64_t>{72, 120}));
    for (const auto& [name, here] : times)
      EXPECT_TRUE(std::all_of(here.begin(), here.end(), [](int n) { return n == 1; })) << name << " of " << slices;
  }
}

TEST(Units, indices_name_the_units_they_say) {
  const ModelShape shape = sample(false, 2);
  const auto units = make_units(shape);
  EXPECT_EQ(units.front().kind, UnitKind::kEmbedding);
  EXPECT_EQ(units.back().kind, UnitKind::kHead);
  for (int layer = 0; layer < 3; ++layer) {
    const Unit& dense = units.at(static_cast<std::size_t>(dense_unit_index(shape, layer)));
    EXPECT_EQ(dense.kind, UnitKind::kDense);
    EXPECT_EQ(dense.layer, layer);
    for (int expert = 0; expert < 5; ++expert) {
      for (int slice = 0; slice < 2; ++slice) {
        const Unit& unit = units.at(static_cast<std::size_t>(expert_unit_index(shape, layer, expert, slice)));
        EXPECT_TRUE(unit.is_expert());
        EXPECT_EQ(unit.layer, layer);
        EXPECT_EQ(unit.expert, expert);
        EXPECT_EQ(unit.slice, slice);
      }
    }
  }
}

TEST(Units, names_are_those_of_hugging_face) {
  std::set<std::string> names;
  for (const Unit& unit : make_units(sample(false, 1))) {
    for (const TensorSpec& tensor : unit.tensors) EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
  }
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.0.input_layernorm.weight", "model.layers.1.self_attn.q_proj.weight",
        "model.layers.2.self_attn.o_proj.weight", "model.layers.2.post_attention_layernorm.weight",
        "model.layers.0.block_sparse_moe.gate.weight", "model.layers.2.block_sparse_moe.experts.4.w2.weight",
        "model.norm.weight", "lm_head.weight"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_EQ(names.size(), 3u + 3 * (7 + 5 * 3));
}

TEST(Units, a_tied_head_holds_the_final_norm_only) {
  const auto units = make_units(sample(true, 1));
  ASSERT_EQ(units.back().tensors.size(), 1u);
  EXPECT_EQ(units.back().tensors[0].name, "model.norm.weight");
}

TEST(Units, layers_without_experts_hold_an_mlp_and_are_skipped_by_expert_numbers) {
  ModelShape shape = sample(false, 2);
  shape.architecture = Architecture::kQwen3Moe;
  shape.dense_layers = {1};
  shape.dense_intermediate_size = 80;
  shape.num_hidden_layers = 3;
  ASSERT_TRUE(check_shape(shape));
  const auto units = make_units(shape);
  for (int layer = 0; layer < 3; ++layer) {
    const Unit& dense = units[static_cast<std::size_t>(dense_unit_index(shape, layer))];
    EXPECT_EQ(dense.kind, UnitKind::kDense);
    EXPECT_EQ(dense.layer, layer);
    EXPECT_EQ(dense.tensors[6].name,
              "model.layers." + std::to_string(layer) + (layer == 1 ? ".mlp.gate_proj.weight" : ".mlp.gate.weight"));
    EXPECT_EQ(dense.tensors.back().name, "model.layers." + std::to_string(layer) + ".self_attn.k_norm.weight");
    EXPECT_EQ(dense.tensors.back().numel, shape.head_dim);
  }
  const Unit& expert = units[static_cast<std::size_t>(expert_unit_index(shape, 2, 1, 1))];
  EXPECT_TRUE(expert.is_expert() && expert.layer == 2 && expert.expert == 1 && expert.slice == 1);
  EXPECT_EQ(expert.tensors[0].name, "model.layers.2.mlp.experts.1.gate_proj.weight");
  std::int64_t elements = 0, by_kind = 0;
  for (const Unit& unit : units)
    for (const TensorSpec& tensor : unit.tensors) elements += tensor.numel;
  EXPECT_EQ(elements, count_parameters(shape));
  for (const Unit& unit : one_layer_of_each_kind(shape))
    for (const TensorSpec& tensor : unit.tensors) by_kind += tensor.numel * layers_like(shape, unit);
  EXPECT_EQ(by_kind, elements);
}

// Frozen: checkpoints and the order of the norm's sum depend on it.
TEST(Units, the_layout_of_a_known_shape_does_not_change) {
  const auto units = make_units(sample(false, 1));
  EXPECT_EQ(units[0].block_elements, 128);  // 259 * 72 = 18648 elements
  EXPECT_EQ(units[1].tensors[3].name, "model.layers.0.self_attn.v_proj.weight");
  EXPECT_EQ(units[1].tensors[3].offset, 80 + 72 * 72 + 36 * 72);
  EXPECT_EQ(units[2].tensors[1].offset, 120 * 72);
  EXPECT_EQ(units[2].block_elements, 128);
}

}  // namespace
}  // namespace regroup
