#include "checkpoint/core/hugging_face.hpp"

#include <nlohmann/json.hpp>

namespace regroup {

using nlohmann::ordered_json;

std::string config_json(const ModelShape& s) {
  ordered_json json = {{"architectures", {"MixtralForCausalLM"}},
                       {"model_type", "mixtral"},
                       {"vocab_size", s.vocab_size},
                       {"hidden_size", s.hidden_size},
                       {"intermediate_size", s.intermediate_size},
                       {"num_hidden_layers", s.num_hidden_layers},
                       {"num_attention_heads", s.num_attention_heads},
                       {"num_key_value_heads", s.num_key_value_heads},
                       {"head_dim", s.head_dim},
                       {"num_local_experts", s.num_local_experts},
                       {"num_experts_per_tok", s.num_experts_per_tok},
                       {"hidden_act", "silu"},
                       {"max_position_embeddings", s.max_position_embeddings},
                       {"initializer_range", s.initializer_range},
                       {"rms_norm_eps", s.rms_norm_eps},
                       {"sliding_window", nullptr},
                       {"attention_dropout", 0.0},
                       {"router_aux_loss_coef", s.router_aux_loss_coef},
                       {"router_jitter_noise", 0.0},
                       {"output_router_logits", false},
                       {"tie_word_embeddings", s.tie_word_embeddings},
                       {"use_cache", true},
                       // Mixtral's defaults (1, 2) would end a text at token 2 of whatever tokenizer was used.
                       {"bos_token_id", nullptr},
                       {"eos_token_id", nullptr},
                       {"pad_token_id", nullptr},
                       // transformers 4 reads the first of each pair, 5 the second.
                       {"rope_theta", s.rope_theta},
                       {"rope_parameters", {{"rope_theta", s.rope_theta}, {"rope_type", "default"}}},
                       {"torch_dtype", "float32"},
                       {"dtype", "float32"}};
  if (s.sliding_window) json["sliding_window"] = *s.sliding_window;
  return json.dump(2) + "\n";
}

std::string generation_config_json(const ModelShape&) {
  return ordered_json{{"_from_model_config", true}, {"bos_token_id", nullptr}, {"eos_token_id", nullptr}, {"pad_token_id", nullptr}}.dump(2) + "\n";
}

std::string weights_index_json(const FilePlan& plan) {
  std::int64_t bytes = 0;
  for (const PlannedFile& file : plan.files())
    if (file.weights) bytes += file.bytes - static_cast<std::int64_t>(file.header.size());
  return ordered_json{{"metadata", {{"total_size", bytes}}}, {"weight_map", plan.weight_map()}}.dump(2) + "\n";
}

}  // namespace regroup
