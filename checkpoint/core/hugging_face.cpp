#include "checkpoint/core/hugging_face.hpp"

#include "base/json_fields.hpp"

namespace regroup::checkpoint {

using nlohmann::ordered_json;

namespace {

constexpr const char* kSpecialTokens[] = {"bos_token_id", "eos_token_id", "pad_token_id"};

// Without an origin null: the families' defaults (Mixtral: 1, 2) would end a text at token 2 of whatever tokenizer was
// used.
void put_special_tokens(ordered_json& json, const std::string& origin) {
  const auto from = regroup::json::parse_text<ordered_json>(origin);
  for (const char* key : kSpecialTokens)
    json[key] = from && from->is_object() && from->contains(key) ? (*from)[key] : ordered_json();
}

}  // namespace

std::string config_json(const ModelShape& s, const std::string& origin) {
  const ArchitectureInfo& info = info_of(s.architecture);
  ordered_json json = {{"architectures", {info.class_name}},
                       {"model_type", info.model_type},
                       {"vocab_size", s.vocab_size},
                       {"hidden_size", s.hidden_size},
                       {info.expert_size_key, s.intermediate_size},
                       {"num_hidden_layers", s.num_hidden_layers},
                       {"num_attention_heads", s.num_attention_heads},
                       {"num_key_value_heads", s.num_key_value_heads},
                       {"head_dim", s.head_dim},
                       {info.num_experts_key, s.num_local_experts},
                       {"num_experts_per_tok", s.num_experts_per_tok},
                       {"hidden_act", "silu"},
                       {"max_position_embeddings", s.max_position_embeddings},
                       {"initializer_range", s.initializer_range},
                       {"rms_norm_eps", s.rms_norm_eps},
                       {"sliding_window", nullptr},
                       {"attention_dropout", 0.0},
                       {"router_aux_loss_coef", s.router_aux_loss_coef},
                       {"router_jitter_noise", s.router_jitter_noise},
                       {"output_router_logits", false},
                       {"tie_word_embeddings", s.tie_word_embeddings},
                       {"use_cache", true},
                       // transformers 4 reads the first of each pair, 5 the second.
                       {"rope_theta", s.rope_theta},
                       {"rope_parameters", {{"rope_theta", s.rope_theta}, {"rope_type", "default"}}},
                       {"torch_dtype", "float32"},
                       {"dtype", "float32"}};
  if (s.sliding_window) json["sliding_window"] = *s.sliding_window;
  if (s.architecture != Architecture::kMixtral) {
    json["norm_topk_prob"] = s.norm_topk_prob;
    json["attention_bias"] = false;
    json.erase("router_jitter_noise");
  }
  if (info.mlp[0] != nullptr) {
    json["use_sliding_window"] = s.sliding_window.has_value();
    json["mlp_only_layers"] = s.dense_layers;
    json["decoder_sparse_step"] = 1;
    json["intermediate_size"] = s.dense_intermediate_size > 0 ? s.dense_intermediate_size : s.intermediate_size;
  }
  put_special_tokens(json, origin);
  return json.dump(2) + "\n";
}

std::string generation_config_json(const std::string& origin) {
  ordered_json json = {{"_from_model_config", true}};
  put_special_tokens(json, origin);
  return json.dump(2) + "\n";
}

std::string weights_index_json(const FilePlan& plan) {
  std::int64_t bytes = 0;
  for (const PlannedFile& file : plan.files())
    if (file.weights) bytes += file.bytes - static_cast<std::int64_t>(file.header.size());
  return weights_index_json(plan.weight_map(), bytes);
}

std::string weights_index_json(const std::map<std::string, std::string>& file_of_tensor, std::int64_t tensor_bytes) {
  return ordered_json{{"metadata", {{"total_size", tensor_bytes}}}, {"weight_map", file_of_tensor}}.dump(2) + "\n";
}

std::string with_dtype(const std::string& config, const std::string& dtype) {
  auto json = regroup::json::parse_text<ordered_json>(config);
  if (!json || !json->is_object()) return config;
  for (const char* key : {"torch_dtype", "dtype"}) (*json)[key] = dtype;  // transformers 4, 5
  return json->dump(2) + "\n";
}

}  // namespace regroup::checkpoint
