// shape_json.hpp: a model's shape as JSON, for manifests. Every field is there; names are those of ModelShape. Pure.
// For .cpp files only.
#pragma once

#include "base/json_fields.hpp"
#include "layout/model_shape.hpp"

namespace regroup::checkpoint {

nlohmann::ordered_json to_ordered_value(const ModelShape& shape);
ModelShape read_shape(const json::Field& in);  // inside json::read_json

}  // namespace regroup::checkpoint
