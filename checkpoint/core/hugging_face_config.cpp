#include "checkpoint/core/hugging_face_config.hpp"

#include <nlohmann/json.hpp>

#include <set>

namespace regroup::checkpoint {
namespace {

using nlohmann::json;

// Thrown inside this file.
struct Refused {
  std::string what;
};

[[noreturn]] void refuse(const std::string& what) { throw Refused{what}; }

bool has(const json& config, const char* key) { return config.contains(key) && !config[key].is_null(); }

const ArchitectureInfo& read_architecture(const json& config) {
  const std::string type = has(config, "model_type") ? config["model_type"].get<std::string>() : "mixtral";
  if (const ArchitectureInfo* info = find_architecture(type)) return *info;
  std::string known;
  for (const ArchitectureInfo& info : architectures())
    known += std::string(known.empty() ? "" : ", ") + info.model_type;
  refuse("model_type is \"" + type + "\"; known are " + known);
}

void refuse_what_is_not_computed(const json& config) {
  if (has(config, "hidden_act") && config["hidden_act"] != "silu")
    refuse("hidden_act is " + config["hidden_act"].dump() + "; only silu is computed");
  if (has(config, "attention_dropout") && config["attention_dropout"].get<double>() != 0)
    refuse("attention_dropout is " + config["attention_dropout"].dump() + "; only 0 is computed");
  if (has(config, "attention_bias") && config["attention_bias"].get<bool>())
    refuse("attention_bias is true; projections with a bias are not computed");
  if (has(config, "clip_qkv"))
    refuse("clip_qkv is " + config["clip_qkv"].dump() + "; queries, keys and values are not clipped here");
  if (has(config, "quantization_config"))
    refuse("quantization_config is given; quantised weights are not read: save them in bf16 or fp32 first");
}

// transformers 4: rope_theta and rope_scaling; 5: rope_parameters.
double read_rope_theta(const json& config, double theta) {
  if (has(config, "rope_theta")) theta = config["rope_theta"].get<double>();
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!has(config, key)) continue;
    const json& rope = config[key];
    for (const char* type : {"rope_type", "type"})
      if (has(rope, type) && rope[type] != "default")
        refuse(std::string(key) + "." + type + " is " + rope[type].dump() +
               "; only plain rotary positions (\"default\") are computed");
    if (has(rope, "factor") && rope["factor"].get<double>() != 1)
      refuse(std::string(key) + ".factor is " + rope["factor"].dump() + "; only plain rotary positions are computed");
    if (has(rope, "partial_rotary_factor") && rope["partial_rotary_factor"].get<double>() != 1)
      refuse(std::string(key) + ".partial_rotary_factor is " + rope["partial_rotary_factor"].dump() +
             "; only 1 is computed");
    if (has(rope, "rope_theta")) theta = rope["rope_theta"].get<double>();
  }
  return theta;
}

std::int64_t read_size(const json& config, const char* key) {
  if (!has(config, key)) refuse(std::string(key) + " is missing");
  return config[key].get<std::int64_t>();
}

void read_heads(const json& config, ModelShape& shape) {
  shape.num_attention_heads = read_size(config, "num_attention_heads");
  shape.num_key_value_heads =
      has(config, "num_key_value_heads") ? read_size(config, "num_key_value_heads") : shape.num_attention_heads;
  if (has(config, "head_dim")) {
    shape.head_dim = read_size(config, "head_dim");
    return;
  }
  if (shape.num_attention_heads <= 0 || shape.hidden_size % shape.num_attention_heads != 0)
    refuse("num_attention_heads (" + std::to_string(shape.num_attention_heads) + ") does not divide hidden_size (" +
           std::to_string(shape.hidden_size) + "), and there is no head_dim");
  shape.head_dim = shape.hidden_size / shape.num_attention_heads;
}

// Qwen: a layer has one MLP where mlp_only_layers names it, or where its number + 1 is no multiple of
// decoder_sparse_step.
void read_dense_layers(const json& config, const ArchitectureInfo& info, ModelShape& shape) {
  if (info.mlp[0] == nullptr) return;
  std::set<std::int64_t> dense;
  if (has(config, "mlp_only_layers")) dense = config["mlp_only_layers"].get<std::set<std::int64_t>>();
  const std::int64_t step = has(config, "decoder_sparse_step") ? read_size(config, "decoder_sparse_step") : 1;
  if (step < 1) refuse("decoder_sparse_step is " + std::to_string(step) + "; at least 1 is meant");
  for (std::int64_t layer = 0; step > 1 && layer < shape.num_hidden_layers; ++layer)
    if ((layer + 1) % step != 0) dense.insert(layer);
  shape.dense_layers.assign(dense.begin(), dense.end());
  if (!dense.empty()) shape.dense_intermediate_size = read_size(config, "intermediate_size");
}

ModelShape read_config(const json& config) {
  const ArchitectureInfo& info = read_architecture(config);
  refuse_what_is_not_computed(config);
  ModelShape shape;
  shape.architecture = info.architecture;
  shape.vocab_size = read_size(config, "vocab_size");
  shape.hidden_size = read_size(config, "hidden_size");
  shape.intermediate_size = read_size(config, info.expert_size_key);
  shape.num_hidden_layers = read_size(config, "num_hidden_layers");
  read_heads(config, shape);
  // transformers 5 takes either word from each family, and writes Qwen's with another one than 4 did.
  shape.num_local_experts = read_size(config, has(config, info.num_experts_key)  ? info.num_experts_key
                                              : has(config, "num_local_experts") ? "num_local_experts"
                                                                                 : "num_experts");
  shape.num_experts_per_tok = read_size(config, "num_experts_per_tok");
  shape.max_position_embeddings = read_size(config, "max_position_embeddings");
  const auto real = [&](const char* key, double otherwise) {
    return has(config, key) ? config[key].get<double>() : otherwise;
  };
  const auto flag = [&](const char* key, bool otherwise) {
    return has(config, key) ? config[key].get<bool>() : otherwise;
  };
  shape.tie_word_embeddings = flag("tie_word_embeddings", false);
  shape.rms_norm_eps = real("rms_norm_eps", info.rms_norm_eps);
  shape.rope_theta = read_rope_theta(config, info.rope_theta);
  shape.router_aux_loss_coef = real("router_aux_loss_coef", info.router_aux_loss_coef);
  shape.router_jitter_noise = real("router_jitter_noise", 0);
  shape.initializer_range = real("initializer_range", shape.initializer_range);
  shape.norm_topk_prob = info.architecture == Architecture::kMixtral || flag("norm_topk_prob", info.norm_topk_prob);
  read_dense_layers(config, info, shape);
  // Qwen's files hold a window that counts only when use_sliding_window says so.
  if (has(config, "sliding_window") && flag("use_sliding_window", info.architecture == Architecture::kMixtral))
    shape.sliding_window = config["sliding_window"].get<std::int64_t>();
  return shape;
}

}  // namespace

Result<ModelShape> shape_from_config_json(const std::string& text) {
  const json config = json::parse(text, nullptr, false);
  if (!config.is_object()) return Error{Code::kBadInput, "this is not a JSON object"};
  try {
    return read_config(config);
  } catch (const Refused& refused) {
    return Error{Code::kBadInput, refused.what};
  } catch (const json::exception& error) {
    return Error{Code::kBadInput, std::string("a value has the wrong type: ") + error.what()};
  }
}

}  // namespace regroup::checkpoint
