#include "moe/layout/model_shape.hpp"

#include <cmath>
#include <string>

namespace regroup {
namespace {

Error bad(const std::string& text) { return {Code::kBadInput, text}; }

// Far beyond any model; keeps every product of two of these inside 64 bits.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 30;

}  // namespace

Result<void> check_shape(const ModelShape& shape) {
  const struct {
    const char* name;
    std::int64_t value;
  } sizes[] = {
      {"vocab_size", shape.vocab_size},
      {"hidden_size", shape.hidden_size},
      {"intermediate_size", shape.intermediate_size},
      {"num_hidden_layers", shape.num_hidden_layers},
      {"num_attention_heads", shape.num_attention_heads},
      {"num_key_value_heads", shape.num_key_value_heads},
      {"head_dim", shape.head_dim},
      {"num_local_experts", shape.num_local_experts},
      {"num_experts_per_tok", shape.num_experts_per_tok},
      {"max_position_embeddings", shape.max_position_embeddings},
      {"expert_slices", shape.expert_slices},
  };
  for (const auto& size : sizes) {
    if (size.value < 1 || size.value > kMaxSize) {
      return bad(std::string(size.name) + " must be between 1 and " + std::to_string(kMaxSize) + ", not " + std::to_string(size.value));
    }
  }
  const auto text = [](std::int64_t value) { return std::to_string(value); };
  if (shape.num_attention_heads % shape.num_key_value_heads != 0) {
    return bad("num_attention_heads (" + text(shape.num_attention_heads) + ") must be a multiple of num_key_value_heads (" + text(shape.num_key_value_heads) + ")");
  }
  // A head_dim of its own is fine; one that is the rounded quotient means nobody noticed the remainder.
  if (shape.hidden_size % shape.num_attention_heads != 0 && shape.head_dim == shape.hidden_size / shape.num_attention_heads) {
    return bad("hidden_size (" + text(shape.hidden_size) + ") is not divisible by num_attention_heads (" + text(shape.num_attention_heads) +
               "); change one of them or give head_dim");
  }
  if (shape.head_dim % 2 != 0) return bad("head_dim (" + text(shape.head_dim) + ") must be even: rotary embeddings turn pairs");
  if (shape.num_experts_per_tok > shape.num_local_experts) {
    return bad("num_experts_per_tok (" + text(shape.num_experts_per_tok) + ") must be at most num_local_experts (" + text(shape.num_local_experts) + ")");
  }
  if (shape.intermediate_size % shape.expert_slices != 0) {
    return bad("intermediate_size (" + text(shape.intermediate_size) + ") must be a multiple of expert_slices (" + text(shape.expert_slices) + ")");
  }
  if (!(shape.rms_norm_eps > 0) || !std::isfinite(shape.rms_norm_eps)) return bad("rms_norm_eps must be above 0");
  if (!(shape.rope_theta > 0) || !std::isfinite(shape.rope_theta)) return bad("rope_theta must be above 0");
  if (!(shape.router_aux_loss_coef >= 0) || !std::isfinite(shape.router_aux_loss_coef)) return bad("router_aux_loss_coef must be at least 0");
  if (!(shape.initializer_range >= 0) || !std::isfinite(shape.initializer_range)) return bad("initializer_range must be at least 0");
  if (shape.sliding_window && *shape.sliding_window < 1) return bad("sliding_window must be at least 1 or absent, not " + text(*shape.sliding_window));
  return {};
}

std::int64_t count_parameters(const ModelShape& shape) {
  const std::int64_t h = shape.hidden_size;
  const std::int64_t q = shape.num_attention_heads * shape.head_dim;
  const std::int64_t kv = shape.num_key_value_heads * shape.head_dim;
  const std::int64_t attention = h * q + 2 * h * kv + q * h;
  const std::int64_t experts = shape.num_local_experts * 3 * h * shape.intermediate_size;
  const std::int64_t layer = 2 * h + attention + shape.num_local_experts * h + experts;
  const std::int64_t vocabulary = shape.vocab_size * h;
  return vocabulary + shape.num_hidden_layers * layer + h + (shape.tie_word_embeddings ? 0 : vocabulary);
}

}  // namespace regroup
