#include "checkpoint/core/shape_json.hpp"

#include <nlohmann/json.hpp>

namespace regroup::checkpoint {

using nlohmann::ordered_json;

std::string shape_to_json(const ModelShape& s) {
  ordered_json json = {{"model_type", info_of(s.architecture).model_type},
                       {"vocab_size", s.vocab_size},
                       {"hidden_size", s.hidden_size},
                       {"intermediate_size", s.intermediate_size},
                       {"num_hidden_layers", s.num_hidden_layers},
                       {"num_attention_heads", s.num_attention_heads},
                       {"num_key_value_heads", s.num_key_value_heads},
                       {"head_dim", s.head_dim},
                       {"num_local_experts", s.num_local_experts},
                       {"num_experts_per_tok", s.num_experts_per_tok},
                       {"max_position_embeddings", s.max_position_embeddings},
                       {"tie_word_embeddings", s.tie_word_embeddings},
                       {"rms_norm_eps", s.rms_norm_eps},
                       {"rope_theta", s.rope_theta},
                       {"router_aux_loss_coef", s.router_aux_loss_coef},
                       {"router_jitter_noise", s.router_jitter_noise},
                       {"initializer_range", s.initializer_range},
                       {"sliding_window", nullptr},
                       {"norm_topk_prob", s.norm_topk_prob},
                       {"dense_layers", s.dense_layers},
                       {"dense_intermediate_size", s.dense_intermediate_size},
                       {"expert_slices", s.expert_slices}};
  if (s.sliding_window) json["sliding_window"] = *s.sliding_window;
  return json.dump();
}

ModelShape shape_from_json(const std::string& text) {
  const auto json = ordered_json::parse(text);
  ModelShape s;
  const auto model_type = json.at("model_type").get<std::string>();
  const ArchitectureInfo* architecture = find_architecture(model_type);
  if (architecture == nullptr) throw ordered_json::other_error::create(501, "unknown model_type " + model_type, &json);
  s.architecture = architecture->architecture;
  json.at("vocab_size").get_to(s.vocab_size);
  json.at("hidden_size").get_to(s.hidden_size);
  json.at("intermediate_size").get_to(s.intermediate_size);
  json.at("num_hidden_layers").get_to(s.num_hidden_layers);
  json.at("num_attention_heads").get_to(s.num_attention_heads);
  json.at("num_key_value_heads").get_to(s.num_key_value_heads);
  json.at("head_dim").get_to(s.head_dim);
  json.at("num_local_experts").get_to(s.num_local_experts);
  json.at("num_experts_per_tok").get_to(s.num_experts_per_tok);
  json.at("max_position_embeddings").get_to(s.max_position_embeddings);
  json.at("tie_word_embeddings").get_to(s.tie_word_embeddings);
  json.at("rms_norm_eps").get_to(s.rms_norm_eps);
  json.at("rope_theta").get_to(s.rope_theta);
  json.at("router_aux_loss_coef").get_to(s.router_aux_loss_coef);
  json.at("router_jitter_noise").get_to(s.router_jitter_noise);
  json.at("initializer_range").get_to(s.initializer_range);
  if (!json.at("sliding_window").is_null()) s.sliding_window = json.at("sliding_window").get<std::int64_t>();
  json.at("norm_topk_prob").get_to(s.norm_topk_prob);
  json.at("dense_layers").get_to(s.dense_layers);
  json.at("dense_intermediate_size").get_to(s.dense_intermediate_size);
  json.at("expert_slices").get_to(s.expert_slices);
  return s;
}

}  // namespace regroup::checkpoint
