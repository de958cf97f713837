#include "agent/plan_follower.hpp"

#include <variant>

namespace regroup::agent {

std::optional<Result<Plan>> PlanFollower::take(const WatchUpdate& update) {
  bool is_news = false;
  for (const WatchEvent& event : update.events) {
    const bool is_put = event.kind == WatchEvent::Kind::kPut;
    const auto key = keys_.parse(event.kv.key);
    if (!key) continue;
    if (std::holds_alternative<key::CurrentPlan>(*key)) {
      current_ = is_put ? event.kv.value : "";
      const auto pointer = plan_pointer_from_json(current_);
      named_ = pointer ? pointer->epoch : Epoch();
      is_news = true;
    } else if (const auto* at = std::get_if<key::PlanOfEpoch>(&*key); at != nullptr && is_put) {
      texts_[at->epoch.value] = event.kv.value;
      is_news = is_news || at->epoch == named_;
    }
  }
  texts_.erase(texts_.begin(), texts_.lower_bound(named_.value));
  if (!is_news || current_.empty()) return std::nullopt;
  return current_plan(current_, texts_);
}

}  // namespace regroup::agent
