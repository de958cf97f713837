// shape_json.hpp: a model's shape as JSON, for manifests. Every field is there; names are those of ModelShape. Pure.
#pragma once

#include "layout/model_shape.hpp"

#include <string>

namespace regroup::checkpoint {

std::string shape_to_json(const ModelShape& shape);
// Throws nlohmann::json::exception when a field is missing or of the wrong type.
ModelShape shape_from_json(const std::string& text);

}  // namespace regroup::checkpoint
