// plan_follower.hpp: from what etcd's watch brings of a job's plans, the one that holds. Pure; one thread.
#pragma once

#include "api/keys.hpp"
#include "api/plan_pointer.hpp"
#include "store/store.hpp"

#include <optional>
#include <string>
#include <utility>

namespace regroup::agent {

class PlanFollower {
 public:
  explicit PlanFollower(Keys keys) : keys_(std::move(keys)) {}

  // Of a watch on the prefix Keys::plans. The plan, or why it cannot be read; nothing: no news of it.
  std::optional<Result<Plan>> take(const WatchUpdate& update);

 private:
  Keys keys_;
  std::string current_;  // value of plan/current; empty: none
  Epoch named_;          // by it; of those before no text is kept
  PlanTexts texts_;
};

}  // namespace regroup::agent
