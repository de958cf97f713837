#include "checkpoint/core/hugging_face_config.hpp"

#include "base/json_fields.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>

namespace regroup::checkpoint {
namespace {

using json::Field;

constexpr std::int64_t kMostLayers = std::int64_t{1} << 20;

[[noreturn]] void refuse(const std::string& what) { throw json::BadField{what}; }

std::string value_of(const Field& field) { return json::dump(field.raw()); }

std::string known_families() {
  std::string known;
  for (const ArchitectureInfo& info : architectures())
    known += std::string(known.empty() ? "" : ", ") + info.model_type;
  return known;
}

const ArchitectureInfo& read_architecture(const Field& config) {
  const ArchitectureInfo *by_type = nullptr, *by_class = nullptr;
  if (const auto type = config.find("model_type")) {
    by_type = find_architecture(type->string());
    if (by_type == nullptr) type->fail("is " + value_of(*type) + "; known are " + known_families());
  }
  if (const auto classes = config.find("architectures"))
    for (const Field& one : classes->items())
      if (by_class == nullptr) by_class = find_class(one.string());
  if (by_type == nullptr && by_class == nullptr)
    refuse("model_type is missing, and architectures names none that is known; known are " + known_families());
  if (by_type != nullptr && by_class != nullptr && by_type != by_class)
    refuse(std::string("model_type is \"") + by_type->model_type + "\", but architectures names " +
           by_class->class_name + ": correct one of them");
  return by_type != nullptr ? *by_type : *by_class;
}

// Null is no value here, as in transformers.
std::int64_t size_or(const Field& config, const char* key, std::int64_t otherwise) {
  return config.has(key) ? config[key].integer<std::int64_t>() : otherwise;
}
double real_or(const Field& config, const char* key, double otherwise) {
  return config.has(key) ? config[key].real() : otherwise;
}
bool flag_or(const Field& config, const char* key, bool otherwise) {
  return config.has(key) ? config[key].boolean() : otherwise;
}

std::int64_t read_size(const Field& config, const char* key) { return config[key].integer<std::int64_t>(); }

void refuse_what_is_not_computed(const Field& config) {
  if (config.has("hidden_act") && config["hidden_act"].string() != "silu")  // null is refused, as by transformers
    config["hidden_act"].fail("is " + value_of(config["hidden_act"]) + "; only silu is computed");
  if (const auto dropout = config.find("attention_dropout"); dropout && dropout->real() != 0)
    dropout->fail("is " + value_of(*dropout) + "; only 0 is computed");
  if (flag_or(config, "attention_bias", false))
    refuse("attention_bias is true; projections with a bias are not computed");
  if (const auto clip = config.find("clip_qkv"))
    clip->fail("is " + value_of(*clip) + "; queries, keys and values are not clipped here");
  if (config.find("quantization_config"))
    refuse("quantization_config is given; quantised weights are not read: save them in bf16 or fp32 first");
}

void refuse_other_positions(const Field& rope) {
  for (const auto& [name, value] : rope.members())
    if (value.raw().is_object()) value.fail("is an object; only one kind of positions for all layers is computed");
  for (const char* type : {"rope_type", "type"})
    if (const auto given = rope.find(type); given && given->string() != "default")
      given->fail("is " + value_of(*given) + "; only plain rotary positions (\"default\") are computed");
  for (const char* key : {"factor", "partial_rotary_factor"})
    if (const auto given = rope.find(key); given && given->real() != 1)
      given->fail("is " + value_of(*given) + "; only 1, plain rotary positions, is computed");
}

// transformers 4: rope_theta and rope_scaling; 5: rope_parameters.
double read_rope_theta(const Field& config, double otherwise) {
  auto theta = config.find("rope_theta");
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto rope = config.find(key);
    if (!rope) continue;
    refuse_other_positions(*rope);
    const auto own = rope->find("rope_theta");
    if (own && theta && own->real() != theta->real())
      refuse(own->path() + " is " + value_of(*own) + ", but " + theta->path() + " is " + value_of(*theta));
    if (own) theta = own;
  }
  return theta ? theta->real() : otherwise;
}

// An absent key means the family's number in transformers.
void read_heads(const Field& config, const ArchitectureInfo& info, ModelShape& shape) {
  constexpr const char* kKeys = "num_key_value_heads";
  const std::int64_t heads = read_size(config, "num_attention_heads"), own = info.num_key_value_heads;
  shape.num_attention_heads = heads;
  shape.num_key_value_heads = own == 0 && !config.find(kKeys) ? heads : size_or(config, kKeys, own);
  if (own != 0 && !config.has(kKeys) && (heads <= 0 || heads % own != 0))
    refuse(std::string(kKeys) + " is missing; transformers takes " + std::to_string(own) +
           ", which does not divide num_attention_heads (" + std::to_string(heads) + ")");
  if (config.find("head_dim") || (config.has("head_dim") && info.architecture != Architecture::kMixtral)) {
    shape.head_dim = read_size(config, "head_dim");
    return;
  }
  if (heads <= 0 || shape.hidden_size % heads != 0)
    refuse("num_attention_heads (" + std::to_string(heads) + ") does not divide hidden_size (" +
           std::to_string(shape.hidden_size) + "), and there is no head_dim");
  shape.head_dim = shape.hidden_size / heads;
}

// transformers 5 takes either word from each family, and writes Qwen's with another one than 4 did.
std::int64_t read_num_experts(const Field& config, const ArchitectureInfo& info) {
  const auto local = config.find("num_local_experts"), experts = config.find("num_experts");
  if (!local && !experts) refuse(std::string(info.num_experts_key) + " is missing");
  const std::int64_t count = (experts ? experts : local)->integer<std::int64_t>();
  if (local && local->integer<std::int64_t>() != count)
    refuse("num_local_experts is " + value_of(*local) + ", but num_experts is " + std::to_string(count) +
           ": correct one of them");
  return count;
}

// Qwen: a layer has one MLP where mlp_only_layers names it, or where its number + 1 is no multiple of
// decoder_sparse_step.
void read_dense_layers(const Field& config, const ArchitectureInfo& info, ModelShape& shape) {
  const auto only = config.find("mlp_only_layers");
  const auto named = only ? only->items() : std::vector<Field>();
  const std::int64_t step = size_or(config, "decoder_sparse_step", 1);
  if (step < 1) refuse("decoder_sparse_step is " + std::to_string(step) + "; at least 1 is meant");
  if (shape.num_hidden_layers > kMostLayers)
    refuse("num_hidden_layers is " + std::to_string(shape.num_hidden_layers) + "; at most " +
           std::to_string(kMostLayers) + " are trained here");
  if (info.mlp[0] == nullptr) {
    if (!named.empty() || step > 1)
      refuse(
          (named.empty() ? "decoder_sparse_step is " + std::to_string(step) : "mlp_only_layers is " + value_of(*only)) +
          ", but every layer of " + info.model_type + " has experts: take the key away");
    return;
  }
  std::set<std::int64_t> dense;
  for (const Field& layer : named) {
    const auto number = layer.integer<std::int64_t>();
    if (number < 0 || number >= shape.num_hidden_layers)
      layer.fail("is " + std::to_string(number) + ", and there is no such layer: num_hidden_layers is " +
                 std::to_string(shape.num_hidden_layers));
    dense.insert(number);
  }
  for (std::int64_t layer = 0; step > 1 && layer < shape.num_hidden_layers; ++layer)
    if ((layer + 1) % step != 0) dense.insert(layer);
  if (static_cast<std::int64_t>(dense.size()) == shape.num_hidden_layers)
    refuse(std::string(named.empty() ? "decoder_sparse_step" : "mlp_only_layers") +
           " leaves no layer with experts: such a model is not trained here");
  shape.dense_layers.assign(dense.begin(), dense.end());
  shape.dense_intermediate_size =
      dense.empty() ? size_or(config, "intermediate_size", 0) : read_size(config, "intermediate_size");
}

// Versions of transformers read these keys differently where a window is on.
void refuse_windows_of_some_layers(const Field& config, const ArchitectureInfo& info, const ModelShape& shape) {
  if (const auto types = config.find("layer_types")) {
    const char* computed = shape.sliding_window ? "sliding_attention" : "full_attention";
    for (const Field& type : types->items(static_cast<std::size_t>(std::max<std::int64_t>(0, shape.num_hidden_layers))))
      if (type.string() != computed)
        type.fail("is " + value_of(type) + ", but with this sliding_window every layer has " + computed);
  }
  const auto first = config.find("max_window_layers");
  if (info.window == Window::kWhenUsed && shape.sliding_window && first && first->integer<std::int64_t>() > 0)
    first->fail("is " + value_of(*first) +
                ": a window of some layers alone is not computed; 0 gives it to every layer");
}

void read_window(const Field& config, const ArchitectureInfo& info, ModelShape& shape) {
  constexpr std::int64_t kQwensWindow = 4096;  // transformers': where the key is absent
  const auto window = config.find("sliding_window");
  const auto use = config.find("use_sliding_window");
  if (info.window == Window::kNone && window)
    window->fail("is " + value_of(*window) + ", but " + info.model_type + " has no window: set it to null");
  if (info.window == Window::kGiven && window && use && !use->boolean())
    use->fail("is false, but a " + std::string(info.model_type) +
              " model uses the sliding_window that is given: set that to null");
  if (info.window == Window::kGiven || (info.window == Window::kWhenUsed && use && use->boolean())) {
    if (window) shape.sliding_window = window->integer<std::int64_t>();
    if (info.window == Window::kWhenUsed && !config.has("sliding_window")) shape.sliding_window = kQwensWindow;
  }
  refuse_windows_of_some_layers(config, info, shape);
}

ModelShape read_config(const Field& config) {
  const ArchitectureInfo& info = read_architecture(config);
  refuse_what_is_not_computed(config);
  ModelShape shape;
  shape.architecture = info.architecture;
  shape.vocab_size = read_size(config, "vocab_size");
  shape.hidden_size = read_size(config, "hidden_size");
  shape.intermediate_size = read_size(config, info.expert_size_key);
  shape.num_hidden_layers = read_size(config, "num_hidden_layers");
  read_heads(config, info, shape);
  shape.num_local_experts = read_num_experts(config, info);
  shape.num_experts_per_tok = read_size(config, "num_experts_per_tok");
  shape.max_position_embeddings = read_size(config, "max_position_embeddings");
  shape.tie_word_embeddings = flag_or(config, "tie_word_embeddings", false);
  shape.rms_norm_eps = real_or(config, "rms_norm_eps", info.rms_norm_eps);
  shape.rope_theta = read_rope_theta(config, info.rope_theta);
  shape.router_aux_loss_coef = real_or(config, "router_aux_loss_coef", info.router_aux_loss_coef);
  if (info.architecture == Architecture::kMixtral)
    shape.router_jitter_noise = real_or(config, "router_jitter_noise", 0);
  shape.initializer_range = real_or(config, "initializer_range", shape.initializer_range);
  shape.norm_topk_prob =
      info.architecture == Architecture::kMixtral || flag_or(config, "norm_topk_prob", info.norm_topk_prob);
  read_dense_layers(config, info, shape);
  read_window(config, info, shape);
  return shape;
}

}  // namespace

Result<ModelShape> shape_from_config_json(const std::string& text, const std::string& name) {
  return json::read_json(text, name, read_config);
}

}  // namespace regroup::checkpoint
