// plan_pointer.hpp: the value of plan/current: which plan holds. The plan itself is written once, under plan/<epoch>,
// in the same transaction; a reader may see the two apart all the same.
#pragma once

#include "api/plan.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace regroup {

inline constexpr std::size_t kMaxPlanBytes = 1 << 20;  // of its text

struct PlanPointer {
  Epoch epoch;
  std::string digest;  // XXH3-64 of the plan's text, 16 hex digits
  friend bool operator==(const PlanPointer&, const PlanPointer&) = default;
};

PlanPointer pointer_to(Epoch epoch, const std::string& plan_text);

std::string to_json(const PlanPointer& pointer);
Result<PlanPointer> plan_pointer_from_json(const std::string& text);

using PlanTexts = std::map<std::uint64_t, std::string>;  // by epoch, as plan/<epoch> holds them

// The plan that `current`, the value of plan/current, names. An error says which of the two keys is wrong, and how.
Result<Plan> current_plan(const std::string& current, const PlanTexts& texts);

}  // namespace regroup
