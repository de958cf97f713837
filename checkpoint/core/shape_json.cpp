#include "checkpoint/core/shape_json.hpp"

namespace regroup::checkpoint {

using nlohmann::ordered_json;

ordered_json to_ordered_value(const ModelShape& s) {
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
  return json;
}

ModelShape read_shape(const json::Field& in) {
  ModelShape s;
  const std::string model_type = in["model_type"].string();
  const ArchitectureInfo* architecture = find_architecture(model_type);
  if (architecture == nullptr) in["model_type"].fail("is '" + model_type + "', which is no model family known here");
  s.architecture = architecture->architecture;
  const auto whole = [&in](const char* name) { return in[name].integer<std::int64_t>(); };
  s.vocab_size = whole("vocab_size");
  s.hidden_size = whole("hidden_size");
  s.intermediate_size = whole("intermediate_size");
  s.num_hidden_layers = whole("num_hidden_layers");
  s.num_attention_heads = whole("num_attention_heads");
  s.num_key_value_heads = whole("num_key_value_heads");
  s.head_dim = whole("head_dim");
  s.num_local_experts = whole("num_local_experts");
  s.num_experts_per_tok = whole("num_experts_per_tok");
  s.max_position_embeddings = whole("max_position_embeddings");
  s.tie_word_embeddings = in["tie_word_embeddings"].boolean();
  s.rms_norm_eps = in["rms_norm_eps"].real();
  s.rope_theta = in["rope_theta"].real();
  s.router_aux_loss_coef = in["router_aux_loss_coef"].real();
  s.router_jitter_noise = in["router_jitter_noise"].real();
  s.initializer_range = in["initializer_range"].real();
  if (const auto window = in.find("sliding_window")) s.sliding_window = window->integer<std::int64_t>();
  s.norm_topk_prob = in["norm_topk_prob"].boolean();
  s.dense_layers = in["dense_layers"].integers<std::int64_t>();
  s.dense_intermediate_size = whole("dense_intermediate_size");
  s.expert_slices = in["expert_slices"].integer<int>();
  return s;
}

}  // namespace regroup::checkpoint
