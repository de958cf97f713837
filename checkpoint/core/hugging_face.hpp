// hugging_face.hpp: the small JSON files that let transformers (4 and 5) open a checkpoint's directory as
// MixtralForCausalLM. Pure.
#pragma once

#include "checkpoint/core/file_plan.hpp"

#include <string>

namespace regroup::checkpoint {

inline constexpr const char* kConfigName = "config.json";
inline constexpr const char* kIndexName = "model.safetensors.index.json";

// `origin`: text of the config.json that the weights started from, or empty: its special tokens stay.
std::string config_json(const ModelShape& shape, const std::string& origin = {});
std::string generation_config_json(const std::string& origin = {});
std::string weights_index_json(const FilePlan& plan);
std::string weights_index_json(const std::map<std::string, std::string>& file_of_tensor, std::int64_t tensor_bytes);
// The same config.json for weights of another type.
std::string with_dtype(const std::string& config, const std::string& dtype);

}  // namespace regroup::checkpoint
