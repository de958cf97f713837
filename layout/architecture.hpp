// architecture.hpp: what differs between the model families that are trained here: one row of a table each. Pure.
//
// A family is the same decoder (pre-norm, rotary grouped-query attention, top-k experts of silu(w1 x) * (w3 x)) under
// other names and with other options. Adding one: a row in architecture.cpp, and its cases in tests/oracle.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace regroup {

enum class Architecture { kMixtral, kQwen3Moe, kOlmoe };

// RMS norm of queries and keys before they are rotated: of each head on its own, or of all heads as one row.
enum class QkNorm { kNone, kHead, kWhole };

// Which sliding_window counts: none ever, the one that is given, the one that use_sliding_window turns on.
enum class Window { kNone, kGiven, kWhenUsed };

struct ArchitectureInfo {
  Architecture architecture;
  const char* model_type;  // config.json
  const char* class_name;  // of transformers
  // Names of a layer's tensors, behind "model.layers.N.".
  const char* gate;
  const char* experts;  // before the expert's number
  const char* w1;       // behind it: gate, up and down projection
  const char* w3;
  const char* w2;
  const char* mlp[3];  // gate, up and down projection of a layer without experts; null where the family has none such
  QkNorm qk_norm;
  Window window;
  // Keys of config.json, and what transformers takes where they are missing.
  const char* num_experts_key;
  const char* expert_size_key;
  std::int64_t num_key_value_heads;  // 0: num_attention_heads
  double rope_theta;
  double rms_norm_eps;
  double router_aux_loss_coef;
  bool norm_topk_prob;
};

std::span<const ArchitectureInfo> architectures();
const ArchitectureInfo& info_of(Architecture architecture);
// nullptr when there is none of that model_type or class.
const ArchitectureInfo* find_architecture(std::string_view model_type);
const ArchitectureInfo* find_class(std::string_view class_name);

}  // namespace regroup
