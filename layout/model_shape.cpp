#include "layout/model_shape.hpp"

#include "base/fp32.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace regroup {
namespace {

Error bad(const std::string& text) { return {Code::kBadInput, text}; }

// Far beyond any model; keeps every product of two of these inside 64 bits.
constexpr std::int64_t kMaxSize = std::int64_t{1} << 30;

}  // namespace

Result<void> check_shape(const ModelShape& shape) {
  const ArchitectureInfo& info = info_of(shape.architecture);
  const struct {
    const char* name;
    std::int64_t value;
  } sizes[] = {
      {"vocab_size", shape.vocab_size},
      {"hidden_size", shape.hidden_size},
      {info.expert_size_key, shape.intermediate_size},
      {"num_hidden_layers", shape.num_hidden_layers},
      {"num_attention_heads", shape.num_attention_heads},
      {"num_key_value_heads", shape.num_key_value_heads},
      {"head_dim", shape.head_dim},
      {info.num_experts_key, shape.num_local_experts},
      {"num_experts_per_tok", shape.num_experts_per_tok},
      {"max_position_embeddings", shape.max_position_embeddings},
      {"expert_slices", shape.expert_slices},
  };
  for (const auto& size : sizes) {
    if (size.value < 1 || size.value > kMaxSize) {
      return bad(std::string(size.name) + " must be between 1 and " + std::to_string(kMaxSize) + ", not " +
                 std::to_string(size.value));
    }
  }
  const auto text = [](std::int64_t value) { return std::to_string(value); };
  if (shape.num_attention_heads % shape.num_key_value_heads != 0) {
    return bad("num_attention_heads (" + text(shape.num_attention_heads) +
               ") must be a multiple of num_key_value_heads (" + text(shape.num_key_value_heads) + ")");
  }
  if (info.qk_norm == QkNorm::kWhole && shape.num_attention_heads * shape.head_dim != shape.hidden_size) {
    return bad("head_dim (" + text(shape.head_dim) + ") times num_attention_heads (" + text(shape.num_attention_heads) +
               ") must be hidden_size (" + text(shape.hidden_size) + ") in an " + info.model_type + " model");
  }
  if (shape.head_dim % 2 != 0)
    return bad("head_dim (" + text(shape.head_dim) + ") must be even: rotary embeddings turn pairs");
  if (shape.num_experts_per_tok > shape.num_local_experts) {
    return bad("num_experts_per_tok (" + text(shape.num_experts_per_tok) + ") must be at most " + info.num_experts_key +
               " (" + text(shape.num_local_experts) + ")");
  }
  if (shape.intermediate_size % shape.expert_slices != 0) {
    return bad(std::string(info.expert_size_key) + " (" + text(shape.intermediate_size) +
               ") must be a multiple of expert_slices (" + text(shape.expert_slices) + ")");
  }
  if (!(shape.rms_norm_eps > 0)) return bad("rms_norm_eps must be above 0");
  if (!(shape.rope_theta > 0)) return bad("rope_theta must be above 0");
  if (!(shape.router_aux_loss_coef >= 0)) return bad("router_aux_loss_coef must be at least 0");
  if (!(shape.router_jitter_noise >= 0 && shape.router_jitter_noise < 1))
    return bad("router_jitter_noise must be at least 0 and below 1");
  if (!(shape.initializer_range >= 0)) return bad("initializer_range must be at least 0");
  for (const auto& [key, value] : {std::pair{"rms_norm_eps", shape.rms_norm_eps},
                                   {"rope_theta", shape.rope_theta},
                                   {"router_aux_loss_coef", shape.router_aux_loss_coef},
                                   {"initializer_range", shape.initializer_range}})
    if (const std::string why = not_in_fp32(value); !why.empty()) return bad(std::string(key) + " " + why);
  if (!shape.dense_layers.empty() && info.mlp[0] == nullptr)
    return bad(std::string("dense_layers: a ") + info.model_type + " model has none");
  for (std::size_t i = 0; i < shape.dense_layers.size(); ++i) {
    const std::int64_t layer = shape.dense_layers[i];
    if (layer < 0 || layer >= shape.num_hidden_layers || (i > 0 && layer <= shape.dense_layers[i - 1])) {
      return bad("dense_layers must be ascending numbers of layers below num_hidden_layers (" +
                 text(shape.num_hidden_layers) + "); " + text(layer) + " is not");
    }
  }
  if (shape.num_sparse_layers() < 1)
    return bad(
        "dense_layers names every layer (mlp_only_layers, decoder_sparse_step): a model without experts is not trained "
        "here");
  const std::int64_t least = shape.dense_layers.empty() ? 0 : 1;
  const std::int64_t most = info.mlp[0] == nullptr ? 0 : kMaxSize;
  if (shape.dense_intermediate_size < least || shape.dense_intermediate_size > most) {
    return bad("dense_intermediate_size (" + text(shape.dense_intermediate_size) + ") must be between " + text(least) +
               " and " + text(most) + ": the intermediate_size of layers without experts");
  }
  if (shape.sliding_window && info.window == Window::kNone)
    return bad("sliding_window (" + text(*shape.sliding_window) + "): an " + info.model_type +
               " model has none; take the key away or set it to null");
  if (shape.sliding_window && *shape.sliding_window < 1)
    return bad("sliding_window must be at least 1 or absent, not " + text(*shape.sliding_window));
  return {};
}

bool ModelShape::is_sparse(std::int64_t layer) const {
  return !std::binary_search(dense_layers.begin(), dense_layers.end(), layer);
}

std::int64_t ModelShape::sparse_before(std::int64_t layer) const {
  return layer - (std::lower_bound(dense_layers.begin(), dense_layers.end(), layer) - dense_layers.begin());
}

namespace {

// With `experts` of each sparse layer's.
std::int64_t count(const ModelShape& shape, std::int64_t experts) {
  const std::int64_t h = shape.hidden_size;
  const std::int64_t q = shape.num_attention_heads * shape.head_dim;
  const std::int64_t kv = shape.num_key_value_heads * shape.head_dim;
  const QkNorm norm = info_of(shape.architecture).qk_norm;
  const std::int64_t norms = 2 * h + (norm == QkNorm::kHead ? 2 * shape.head_dim : norm == QkNorm::kWhole ? q + kv : 0);
  const std::int64_t layer = norms + h * q + 2 * h * kv + q * h;
  const std::int64_t sparse = shape.num_local_experts * h + experts * 3 * h * shape.intermediate_size;
  const std::int64_t dense = 3 * h * shape.dense_intermediate_size;
  const std::int64_t vocabulary = shape.vocab_size * h;
  return vocabulary + shape.num_hidden_layers * layer + shape.num_sparse_layers() * sparse +
         static_cast<std::int64_t>(shape.dense_layers.size()) * dense + h +
         (shape.tie_word_embeddings ? 0 : vocabulary);
}

}  // namespace

std::int64_t count_parameters(const ModelShape& shape) { return count(shape, shape.num_local_experts); }
std::int64_t count_active_parameters(const ModelShape& shape) { return count(shape, shape.num_experts_per_tok); }

}  // namespace regroup
