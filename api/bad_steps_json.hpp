// bad_steps_json.hpp: bad steps in messages: [total, in a row] (frozen).
#pragma once

#include "layout/bad_steps.hpp"

#include <nlohmann/json.hpp>

namespace regroup {

inline nlohmann::json bad_json(const BadSteps& bad) { return {bad.total, bad.in_a_row}; }
// throws what nlohmann throws
inline BadSteps bad_from(const nlohmann::json& value) {
  return {value.at(0).get<std::int64_t>(), value.at(1).get<std::int64_t>()};
}

}  // namespace regroup
