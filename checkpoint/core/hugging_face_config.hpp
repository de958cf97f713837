// hugging_face_config.hpp: a Hugging Face config.json, as transformers 4 or 5 writes it -> the model's shape. Pure.
#pragma once

#include "base/result.hpp"
#include "layout/model_shape.hpp"

#include <string>

namespace regroup::checkpoint {

// Keys that change neither the tensors nor the mathematics are ignored. kBadInput, naming `name`, the key and its
// value, for what is not computed here (other families, activations and rope types, attention dropout and biases,
// quantised weights, windows of some layers alone), for keys that contradict each other, and for keys of another family
// that would say something else there.
Result<ModelShape> shape_from_config_json(const std::string& text, const std::string& name = "config.json");

}  // namespace regroup::checkpoint
