// model_shape.hpp: the numbers that fix a model's tensors. Names are those of a Hugging Face config.json. Pure.
#pragma once

#include "base/result.hpp"
#include "layout/architecture.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace regroup {

struct ModelShape {
  Architecture architecture = Architecture::kMixtral;
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t num_local_experts = 0;
  std::int64_t num_experts_per_tok = 0;
  std::int64_t max_position_embeddings = 0;
  bool tie_word_embeddings = false;
  double rms_norm_eps = 1e-5;
  double rope_theta = 1e6;
  double router_aux_loss_coef = 0.001;
  // training alone: the experts' and the router's input times uniform [1 - noise, 1 + noise)
  double router_jitter_noise = 0.0;
  double initializer_range = 0.02;
  std::optional<std::int64_t> sliding_window;
  bool norm_topk_prob = true;                              // a token's routing weights are divided by their sum
  std::vector<std::int64_t> dense_layers;                  // ascending: layers with one MLP in place of experts
  std::int64_t dense_intermediate_size = 0;                // of those; kept without any, 0 if unknown
  int expert_slices = 1;                                   // degree t: intermediate_size is always computed as t slices
  [[nodiscard]] bool is_sparse(std::int64_t layer) const;  // has experts
  [[nodiscard]] std::int64_t sparse_before(std::int64_t layer) const;  // how many of the layers before have
  [[nodiscard]] std::int64_t num_sparse_layers() const {
    return num_hidden_layers - static_cast<std::int64_t>(dense_layers.size());
  }
  friend bool operator==(const ModelShape&, const ModelShape&) = default;
};

// kBadInput, naming the field, when the numbers contradict each other.
Result<void> check_shape(const ModelShape& shape);

std::int64_t count_parameters(const ModelShape& shape);
// Of those, what one token meets: num_experts_per_tok of each layer's experts.
std::int64_t count_active_parameters(const ModelShape& shape);

}  // namespace regroup
