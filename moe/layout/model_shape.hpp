// model_shape.hpp: the numbers that fix a model's tensors. Names are those of a Hugging Face config.json. Pure.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <optional>

namespace regroup {

struct ModelShape {
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
  double initializer_range = 0.02;
  std::optional<std::int64_t> sliding_window;
  int expert_slices = 1;  // degree t: intermediate_size is always computed as t slices
  friend bool operator==(const ModelShape&, const ModelShape&) = default;
};

// kBadInput, naming the field, when the numbers contradict each other.
Result<void> check_shape(const ModelShape& shape);

std::int64_t count_parameters(const ModelShape& shape);

}  // namespace regroup
