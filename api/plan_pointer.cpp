#include "api/plan_pointer.hpp"

#include "api/json_values.hpp"
#include "base/hex.hpp"

#include <xxhash.h>

namespace regroup {
namespace {

PlanPointer read_pointer(const json::Field& in) { return {in["epoch"].id<Epoch>(), in["digest"].string()}; }

std::string digest_of(const std::string& text) { return to_hex(XXH3_64bits(text.data(), text.size())); }

}  // namespace

PlanPointer pointer_to(Epoch epoch, const std::string& plan_text) { return {epoch, digest_of(plan_text)}; }

std::string to_json(const PlanPointer& pointer) {
  return json::dump({{"epoch", pointer.epoch.value}, {"digest", pointer.digest}});
}

Result<PlanPointer> plan_pointer_from_json(const std::string& text) {
  return json::read_json(text, "plan/current", read_pointer);
}

Result<Plan> current_plan(const std::string& current, const PlanTexts& texts) {
  const auto pointer = plan_pointer_from_json(current);
  if (!pointer) return pointer.error();
  const std::string key = "plan/" + std::to_string(pointer->epoch.value);
  const auto text = texts.find(pointer->epoch.value);
  if (text == texts.end())
    return Error{Code::kNotFound,
                 "plan/current names epoch " + std::to_string(pointer->epoch.value) + ", and " + key + " is not there"};
  if (const std::string digest = digest_of(text->second); digest != pointer->digest)
    return Error{Code::kCorrupt, key + " has digest " + digest + ", and plan/current names " + pointer->digest};
  auto plan = plan_from_json(text->second);
  if (!plan) return plan.error().within(key);
  if (plan->epoch != pointer->epoch)
    return Error{Code::kCorrupt, key + " holds the plan of epoch " + std::to_string(plan->epoch.value)};
  return plan;
}

}  // namespace regroup
