// hugging_face.hpp: the small JSON files that let transformers (4 and 5) open a checkpoint's directory as MixtralForCausalLM. Pure.
#pragma once

#include "checkpoint/core/file_plan.hpp"

#include <string>

namespace regroup {

std::string config_json(const ModelShape& shape);
std::string generation_config_json(const ModelShape& shape);
std::string weights_index_json(const FilePlan& plan);   // model.safetensors.index.json

}  // namespace regroup
